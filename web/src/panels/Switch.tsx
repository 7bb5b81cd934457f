// A switch that is on or off. What it changes is told by its label; it stands in rows that can be picked, too.

interface Props {
  label: string;
  on: boolean;
  change: (on: boolean) => void;
  disabled?: boolean;
}

export function Switch({ label, on, change, disabled = false }: Props) {
  const flip = (event: Event) => {
    event.stopPropagation();
    change(!on);
  };
  return (
    <button type="button" role="switch" class="switch" aria-checked={on} aria-label={label} disabled={disabled} onClick={flip} onKeyDown={(event) => event.stopPropagation()}>
      <i />
    </button>
  );
}
