// Runs the tests where the package is installed: the compiler over all that uses it, then the tests themselves.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { here, target } from "./pack.mjs";

const installed = join(target, "installed");
const tests = readdirSync(join(installed, "test")).filter((file) => file.endsWith(".test.mjs"));
const env = {
  ...process.env,
  // A package whose native part is of another version is refused.
  NAPI_RS_ENFORCE_VERSION_CHECK: "1",
  // The panics that are asked for say enough in one line.
  RUST_BACKTRACE: "0",
  FRAZIL_SCHEDULES: join(here, "..", "..", "conformance", "schedules"),
};
const inherit = /** @type {const} */ ({ cwd: installed, env, stdio: "inherit" });

const tsc = join(here, "node_modules", ".bin", "tsc");
const compiled = spawnSync(tsc, ["--project", "test"], inherit);
if (compiled.status !== 0) process.exit(1);
const files = tests.map((file) => join("test", file));
process.exit(spawnSync(process.execPath, ["--test", "--test-timeout=300000", ...files], inherit).status ?? 1);
