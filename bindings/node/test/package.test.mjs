import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import * as imported from "frazil";

const require = createRequire(import.meta.url);

test("import and require give the same", () => {
  /** @type {Record<string, unknown>} */
  const required = require("frazil");
  const names = (/** @type {object} */ module) =>
    Object.keys(module)
      .filter((name) => name !== "default" && name !== "__esModule")
      .sort();
  assert.deepEqual(names(imported), names(required));
  for (const [name, value] of Object.entries(imported))
    assert.equal(value, name === "default" ? required : required[name]);
});

test("what is installed is the package and the one for this platform, with licences and without sources", () => {
  const folder = dirname(require.resolve("frazil/package.json"));
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const platforms = Object.keys(manifest.optionalDependencies);
  assert.deepEqual(
    Object.values(manifest.optionalDependencies),
    platforms.map(() => manifest.version),
  );
  assert.equal(manifest.dependencies, undefined);
  for (const installed of [folder, ...platforms.map((name) => join(folder, "..", name))]) {
    for (const licence of ["LICENSE-APACHE", "LICENSE-MIT"]) assert.ok(existsSync(join(installed, licence)), installed);
    assert.equal(JSON.parse(readFileSync(join(installed, "package.json"), "utf8")).version, manifest.version);
  }
  for (const absent of ["lib", "src", "dist/frazil.linux-x64-gnu.node"])
    assert.ok(!existsSync(join(folder, absent)), absent);
  assert.ok(existsSync(join(folder, "README.md")));
});

test("the snippets of the README are those of the example's kind: they run", async () => {
  const readme = readFileSync(join(dirname(require.resolve("frazil/package.json")), "README.md"), "utf8");
  const snippets = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code ?? "");
  assert.ok(snippets.length >= 2);
  for (const snippet of snippets) {
    const { execFileSync } = await import("node:child_process");
    execFileSync(process.execPath, ["--input-type=module", "--eval", snippet], {
      cwd: import.meta.dirname,
      timeout: 120_000,
      stdio: ["ignore", "pipe", "inherit"],
    });
  }
});
