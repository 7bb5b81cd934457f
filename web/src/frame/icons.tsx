// The signs of the rail: 16 by 16, one stroke.

const PATHS: Record<string, string> = {
  bars: "M3 13V8M6.5 13V3M10 13V6M13.5 13V9.5",
  bell: "M4 11V7.5a4 4 0 0 1 8 0V11l1.2 1.5H2.8zM6.8 14.5h2.4",
  clock: "M2.6 8A5.5 5.5 0 1 1 4 11.8M2.2 5.4l.5 2.8 2.7-.6M8 5v3.2l2.2 1.4",
  pulse: "M1.5 8.5h3l1.8-5 3 9 1.9-4h3.3",
  coins: "M8 2.2c3 0 5 .9 5 2s-2 2-5 2-5-.9-5-2 2-2 5-2zM3 4.2v7.6c0 1.1 2 2 5 2s5-.9 5-2V4.2M3 8c0 1.1 2 2 5 2s5-.9 5-2",
  layers: "M8 2l6 3-6 3-6-3zM2 8l6 3 6-3M2 11l6 3 6-3",
  graph: "M4 5.5a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4zM12 6a1.7 1.7 0 1 0 0-3.4A1.7 1.7 0 0 0 12 6zM8 14a1.7 1.7 0 1 0 0-3.4A1.7 1.7 0 0 0 8 14zM5.6 4h4.7M4.8 5.3l2.3 5.4M11.3 5.8 8.8 10.7",
  streams: "M2 4h8M2 8h12M2 12h8M12.5 4h1.5M12.5 12h1.5",
  plug: "M6 2v3.5M10 2v3.5M4.2 5.5h7.6V8a3.8 3.8 0 0 1-7.6 0zM8 11.8V14.5",
  flow: "M1.5 8h4c3 0 3-4 6-4h3M5.5 8c3 0 3 4 6 4h3",
  board: "M2.5 3h11v10h-11zM2.5 6.2h11M6.5 6.2V13",
  find: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3l3.5 3.5",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  book: "M3 2.5h8.5a1 1 0 0 1 1 1v10H4a1 1 0 0 1-1-1zM3 11.5h9.5M6 5.5h4",
  talk: "M2.5 3h11v7.5H7L4 13.5v-3H2.5z",
};

export function Icon({ of }: { of: string }) {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round">
      <path d={PATHS[of] ?? PATHS["board"]} />
    </svg>
  );
}
