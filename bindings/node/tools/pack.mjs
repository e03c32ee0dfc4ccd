// Packs what users install: the package, and the native part for this platform, which is a package of its own.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of this binding. */
export const here = dirname(dirname(fileURLToPath(import.meta.url)));
const root = join(here, "..", "..");
/** Where everything goes that is built. */
export const target = resolve(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "node");

const LICENCES = ["LICENSE-APACHE", "LICENSE-MIT"];

/** Packs both, and gives where they lie: the package first. */
export function pack() {
  const stage = join(target, "stage");
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(join(stage, "main"), { recursive: true });
  const manifest = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));

  // As napi names them: one folder for each platform. It takes no other than one beside a manifest.
  const npmDir = join(stage, "npm");
  cpSync(join(here, "package.json"), join(stage, "package.json"));
  run("napi", ["create-npm-dirs"], stage);
  const natives = readdirSync(join(here, "dist")).filter((file) => file.endsWith(".node"));
  const platforms = natives.map((file) => join(npmDir, file.split(".")[1] ?? ""));
  for (const [index, platform] of platforms.entries()) {
    const native = natives[index] ?? "";
    cpSync(join(here, "dist", native), join(platform, native));
    for (const licence of LICENCES) cpSync(join(root, licence), join(platform, licence));
    const own = JSON.parse(readFileSync(join(platform, "package.json"), "utf8"));
    own.files.push(...LICENCES);
    writeFileSync(join(platform, "package.json"), `${JSON.stringify(own, null, 2)}\n`);
  }

  const { scripts, devDependencies, napi, ...published } = manifest;
  published.optionalDependencies = Object.fromEntries(
    platforms.map((folder) => [JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).name, manifest.version]),
  );
  writeFileSync(join(stage, "main", "package.json"), `${JSON.stringify(published, null, 2)}\n`);
  for (const file of ["dist", "index.mjs", "index.d.mts", "README.md"]) {
    cpSync(join(here, file), join(stage, "main", file), { recursive: true });
  }
  for (const licence of LICENCES) cpSync(join(root, licence), join(stage, "main", licence));

  return [join(stage, "main"), ...platforms].map((folder) => {
    const output = run("npm", ["pack", "--json", "--pack-destination", stage], folder);
    return join(stage, JSON.parse(output)[0].filename);
  });
}

/** Runs a program of the binding's own modules, or of the search path. */
export function run(program, args, cwd = here) {
  const path = `${join(here, "node_modules", ".bin")}:${process.env.PATH}`;
  return execFileSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, PATH: path },
    stdio: ["ignore", "pipe", "inherit"],
  });
}
