import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { compressed } from "./tools/compress.ts";

const STATIC = fileURLToPath(new URL("../hxp_enterprise_llm/event/dashboards/static", import.meta.url));
// The service that `npm run dev` talks to, e.g. HXP=http://127.0.0.1:9102.
const service = process.env["HXP"] ?? "http://127.0.0.1:9102";
const paths = ["/dashboards", "/api", "/streams", "/notifications", "/health", "/sources", "/analytics", "/sse", "/websocket"];

export default defineConfig({
  base: "/static/",
  build: {
    outDir: STATIC,
    emptyOutDir: true,
    assetsDir: "",
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    reportCompressedSize: false,
    rollupOptions: { output: { entryFileNames: "app-[hash].js", chunkFileNames: "part-[hash].js", assetFileNames: "[name]-[hash][extname]" } },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [compressed()],
  server: {
    proxy: {
      ...Object.fromEntries(paths.map((path) => [path, { target: service }])),
      "/connection": { target: service, ws: true },
    },
  },
  test: { environment: "happy-dom", include: ["src/**/*.test.ts", "src/**/*.test.tsx"] },
} as Parameters<typeof defineConfig>[0]);
