import react from "@vitejs/plugin-react";
import { promises as fs } from "node:fs";
import path from "node:path";
import { brotliCompress, constants } from "node:zlib";
import { promisify } from "node:util";
import { defineConfig, type Plugin } from "vite";

/** Writes `NAME.br` next to every file that the server may send compressed. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    async writeBundle({ dir }) {
      const root = dir ?? "dist/console";
      for (const entry of await fs.readdir(root, { recursive: true })) {
        if (!/\.(js|css|svg|txt)$/.test(entry)) continue;
        const file = path.join(root, entry);
        const data = await fs.readFile(file);
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11 };
        await fs.writeFile(`${file}.br`, await promisify(brotliCompress)(data, { params }));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), compressed()],
  // The server puts a fresh nonce here with each answer (crates/server/src/console.rs).
  html: { cspNonce: "STACKYARD_NONCE" },
  build: {
    outDir: "dist/console",
    emptyOutDir: true,
    // The policy allows no data: in scripts and styles.
    assetsInlineLimit: 0,
    target: "es2023",
    license: { fileName: "licenses.txt" },
    chunkSizeWarningLimit: 800,
  },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
} as import("vite").UserConfig & { test: object });
