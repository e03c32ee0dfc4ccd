// Builds the native part and the TypeScript into `dist`.
//
// Cargo is called here and not by `napi build`, which builds for a target that it names: all that frazil needs would be built
// once more, and not shared with what else is built in the repository.

import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateTypeDef, writeJsBinding } from "@napi-rs/cli";
import { here, run, target } from "./pack.mjs";

const PROFILE = "packaged";
/** As napi names this machine. */
const PLATFORM = "linux-x64-gnu";

const dist = join(here, "dist");
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });

// While the crate is compiled, napi's macros write down what they export.
const types = join(target, "types");
if (!existsSync(types)) process.env.NAPI_FORCE_BUILD_FRAZIL_NODE = String(Date.now());
mkdirSync(types, { recursive: true });
process.env.NAPI_TYPE_DEF_TMP_FOLDER = types;
run("cargo", ["build", "--profile", PROFILE, "--package", "frazil-node"]);
copyFileSync(join(target, "..", PROFILE, "libfrazil_node.so"), join(dist, `frazil.${PLATFORM}.node`));

const { name, version, napi } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
const { exports, dts } = await generateTypeDef({ typeDefDir: types, cwd: here, constEnum: false, noDtsHeader: true });
writeFileSync(join(dist, "native.d.cts"), readFileSync(join(here, "native-header.d.ts"), "utf8") + dts);
await writeJsBinding({
  platform: true,
  idents: exports,
  jsBinding: "native.cjs",
  binaryName: napi.binaryName,
  packageName: name,
  version,
  outputDir: dist,
});

run("tsc", []);
