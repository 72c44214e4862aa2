import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Relative addresses and the <base> of index.html, which the API sets, let the page stand under any path.
export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../stream_durable/api/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8400" } },
});
