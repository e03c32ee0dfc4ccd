// How a program in TypeScript uses the package by `require`.

import frazil = require("frazil");

const connection: frazil.Connection = new frazil.Connection();
connection.on("datachannel", (channel: frazil.Channel) => void channel.send(new Uint8Array([1])));
const version: string = frazil.version();
export const certificate: frazil.Certificate = connection.certificate;
export { version };
