import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { entry, newPeer, World } from "./world.mjs";

for (const batched of [false, true]) {
  describe(batched ? "in batches" : "one by one", () => {
    test("two peers connect and messages go both ways", () => {
      const world = new World({ batched });
      const channel = world.connect();
      const { left, right } = world;
      assert.equal(left.peer.connectionState(), "connected");
      assert.equal(left.peer.selectedPair()?.remoteIp, right.ip);
      const binary = Buffer.from([0, 1, 255]);
      assert.ok(left.peer.send(channel.left, binary, false, world.now));
      assert.ok(left.peer.send(channel.left, Buffer.from("Zoë"), true, world.now));
      assert.ok(left.peer.send(channel.left, new Uint8Array(), false, world.now));
      assert.ok(right.peer.send(channel.right, Buffer.from("back"), true, world.now));
      world.until(() => right.messages.length === 3 && left.messages.length === 1);
      assert.deepEqual(
        right.messages.map(({ data }) => data),
        [binary, "Zoë", Buffer.alloc(0)],
      );
      assert.deepEqual(left.messages, [{ channel: channel.left, data: "back" }]);
    });

    test("a full buffer refuses a message until there is room", () => {
      const world = new World({ batched, config: { sendBuffer: 65_536 } });
      const { left, right } = world.connect();
      const message = Buffer.alloc(16_384, 7);
      let sent = 0;
      while (world.left.peer.send(left, message, false, world.now)) sent += 1;
      assert.ok(sent >= 3 && sent <= 8, `${sent}`);
      assert.ok(world.left.peer.bufferedAmount(left) >= 3 * message.length);
      world.until(() => world.left.of("BufferedAmountLow").length > 0);
      assert.ok(world.left.peer.send(left, message, false, world.now));
      world.until(() => world.right.messages.length === sent + 1);
      assert.ok(
        world.right.messages.every(({ channel, data }) => channel === right && message.equals(Buffer.from(data))),
      );
    });

    test("a channel closes on both sides, and then the connection", () => {
      const world = new World({ batched });
      const { left } = world.connect();
      world.left.peer.closeChannel(left, world.now);
      world.until(() => world.ends.every((end) => end.of("ChannelClosed").length === 1));
      world.left.peer.leave(world.now);
      world.until(() => world.right.peer.connectionState() === "closed");
    });
  });
}

test("events have their name as type and only the fields that are there", () => {
  const world = new World();
  world.connect();
  const [selected] = world.left.of("SelectedPairChange");
  assert.deepEqual({ ...selected }, { type: "SelectedPairChange", path: world.left.peer.selectedPair()?.path });
  const state = world.left.of("ConnectionStateChange").at(-1);
  assert.deepEqual({ ...state }, { type: "ConnectionStateChange", state: "connected" });
  const [opened] = world.right.of("DataChannel");
  assert.deepEqual({ ...opened }, { type: "DataChannel", channel: 0, label: "data", protocol: "", ordered: true });
});

test("a path that is none takes nothing", () => {
  const peer = newPeer();
  assert.equal(peer.path(4_000_000_000), null);
  assert.equal(peer.handleDatagram(4_000_000_000, Buffer.alloc(20), 1), false);
});

test("a batch is taken up to the first path that is none, and one that is cut short not at all", () => {
  const { left } = new World();
  const path = left.peer.pathId({
    protocol: "udp",
    localIp: left.ip,
    localPort: 4000,
    remoteIp: "192.0.2.9",
    remotePort: 1,
  });
  const known = entry(path, Buffer.alloc(30, 23));
  const unknown = entry(4_000_000_000, Buffer.alloc(30, 23));
  assert.equal(left.peer.handleDatagrams(Buffer.concat([known, known, unknown, known]), 1), 2);
  assert.equal(left.peer.handleDatagrams(Buffer.concat([unknown, known]), 1), 0);
  const cut = Buffer.concat([known, known]).subarray(0, -1);
  assert.throws(() => left.peer.handleDatagrams(cut, 1), { code: "invalid-argument", message: /entry at byte 38/ });
});

test("bytes are borrowed from any view and never kept", () => {
  const { left } = new World();
  const inside = new Uint8Array(new ArrayBuffer(4096), 1000, 2000);
  left.peer.createDataChannel({ label: "a" }, 0);
  const length = left.peer.pollTransmits(inside);
  assert.equal(length, 0);
  assert.ok(inside.every((byte) => byte === 0));
  const world = new World();
  const channel = world.connect();
  const message = Buffer.from("as it was");
  assert.ok(world.left.peer.send(channel.left, message, true, world.now));
  message.fill(0);
  world.until(() => world.right.messages.length === 1);
  assert.equal(world.right.messages[0]?.data, "as it was");
});
