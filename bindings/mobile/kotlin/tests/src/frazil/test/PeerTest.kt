package frazil.test

import frazil.ChannelConfig
import frazil.Config
import frazil.Description
import frazil.Event
import frazil.FrazilException
import frazil.HostSocket
import frazil.IceCandidate
import frazil.IceServer
import frazil.Path
import frazil.Peer
import frazil.frazilVersion
import frazil.hostSockets
import frazil.reason
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import java.lang.reflect.Modifier
import java.nio.ByteBuffer
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit

private fun newPeer(): Peer = Peer(Config(), emptyList(), null, ByteArray(32), 0)

private val room = directBuffer(Peer.BATCH_BUFFER)

/** Every method of a peer but `close`, as it is called when all is well or the peer is broken or closed. */
private val calls: Map<String, (Peer) -> Unit> =
    mapOf(
        "handleNetworkChange" to { it.handleNetworkChange(emptyList(), 0) },
        "endOfCandidates" to { it.endOfCandidates(0) },
        "setServers" to { it.setServers(emptyList(), 0) },
        "handleSocketOpened" to { it.handleSocketOpened(0U, null, 0U, 0) },
        "handleResolved" to { it.handleResolved(0U, emptyList(), 0) },
        "createOffer" to { it.createOffer() },
        "createAnswer" to { it.createAnswer() },
        "setLocalDescription" to { it.setLocalDescription(Description("rollback", ""), 0) },
        "setRemoteDescription" to { it.setRemoteDescription(Description("rollback", ""), 0) },
        "localDescription" to { it.localDescription() },
        "remoteDescription" to { it.remoteDescription() },
        "addIceCandidate" to { it.addIceCandidate(IceCandidate(""), 0) },
        "restartIce" to { it.restartIce() },
        "pathId" to { it.pathId(Path("udp", "192.0.2.1", 1U, "192.0.2.2", 2U)) },
        "path" to { it.path(0U) },
        "handleDatagram" to { it.handleDatagram(0U, room, 0) },
        "handleDatagrams" to { it.handleDatagrams(directBuffer(0), 0) },
        "pollTransmit" to { it.pollTransmit(room) },
        "pollTransmits" to { it.pollTransmits(room) },
        "handleStreamOpened" to { it.handleStreamOpened(0U, 0) },
        "handleStreamAccepted" to { it.handleStreamAccepted(Path("tcp", "192.0.2.1", 1U, "192.0.2.2", 2U), 0) },
        "handleStreamData" to { it.handleStreamData(0U, ByteArray(1), 0) },
        "handleStreamClosed" to { it.handleStreamClosed(0U, 0) },
        "handleTimeout" to { it.handleTimeout(0) },
        "pollTimeout" to { it.pollTimeout() },
        "pollEvent" to { it.pollEvent() },
        "waiting" to { it.waiting() },
        "pollMessages" to { it.pollMessages(room) },
        "createDataChannel" to { it.createDataChannel(ChannelConfig("x"), 0) },
        "send" to { it.send(0U, ByteArray(1), false, 0) },
        "release" to { it.release(0U, 0, 0) },
        "setEventBacklog" to { it.setEventBacklog(0U, 0) },
        "bufferedAmount" to { it.bufferedAmount(0U) },
        "setBufferedAmountLowThreshold" to { it.setBufferedAmountLowThreshold(0U, 0U) },
        "closeChannel" to { it.closeChannel(0U, 0) },
        "leave" to { it.leave(0) },
        "signalingState" to { it.signalingState() },
        "iceConnectionState" to { it.iceConnectionState() },
        "iceGatheringState" to { it.iceGatheringState() },
        "connectionState" to { it.connectionState() },
        "failure" to { it.failure() },
        "selectedPair" to { it.selectedPair() },
        "certificate" to { it.certificate() },
    )

/** Has the next call of the core panic. It is no part of what users see. */
fun injectPanic() {
    Class.forName("frazil.Frazil_mobileKt").getMethod("injectPanic").invoke(null)
}

class PeerTest {
    @Test
    fun everyMethodIsListed() {
        val methods = Peer::class.java.declaredMethods.filter { Modifier.isPublic(it.modifiers) && !it.isSynthetic }
        // What has unsigned numbers has more behind its name.
        assertEquals(methods.map { it.name.substringBefore('-') }.toSet(), calls.keys + "close")
    }

    @TestFactory
    fun aPanicIsAnExceptionOf(): List<DynamicTest> =
        calls.map { (name, call) ->
            dynamicTest(name) {
                val peer = newPeer()
                injectPanic()
                val first = assertThrows<FrazilException.Panicked> { call(peer) }
                assertEquals("panicked", first.reason)
                assertEquals("the core broke down: injected, as asked for", first.message)
                calls.values.forEach { later -> assertThrows<FrazilException.Panicked> { later(peer) } }
                peer.close()
                // It is told why for good.
                assertThrows<FrazilException.Panicked> { call(peer) }
            }
        }

    @Test
    fun aPanicInWhatIsNoMethodIsAnExceptionToo() {
        injectPanic()
        assertThrows<FrazilException.Panicked> { newPeer() }
        injectPanic()
        assertThrows<FrazilException.Panicked> { hostSockets(loopback = true, linkLocal = false) }
        val peer = newPeer()
        injectPanic()
        assertThrows<FrazilException.Panicked> { peer.close() }
        assertThrows<FrazilException.Closed> { peer.connectionState() }
        injectPanic()
        assertThrows<FrazilException.Panicked> { newPeer().send(0U, directBuffer(1), false, 0) }
    }

    @TestFactory
    fun afterCloseThereIsNo(): List<DynamicTest> =
        calls.map { (name, call) ->
            dynamicTest(name) {
                val peer = newPeer()
                peer.close()
                peer.close()
                val closed = assertThrows<FrazilException.Closed> { call(peer) }
                assertEquals("closed", closed.reason)
                assertEquals("the peer is closed", closed.message)
            }
        }

    @Test
    fun whileOneThreadClosesOthersAreRefused() {
        repeat(50) {
            val peer = newPeer()
            val threads =
                List(3) {
                    CompletableFuture.runAsync {
                        val buffer = directBuffer(Peer.BATCH_BUFFER)
                        assertThrows<FrazilException.Closed> {
                            while (true) {
                                peer.pollTransmits(buffer)
                                peer.handleDatagram(0U, buffer, 1)
                                peer.pollTimeout()
                            }
                        }
                    }
                }
            peer.close()
            threads.forEach { it.get(60, TimeUnit.SECONDS) }
        }
    }

    @Test
    fun whatIsWrongIsSaid() {
        val seed = assertThrows<FrazilException.InvalidArgument> { Peer(Config(), emptyList(), null, ByteArray(31), 0) }
        assertEquals("the seed has 31 bytes in place of 32", seed.message)
        assertEquals("invalid-argument", seed.reason)
        val policy = assertThrows<FrazilException.InvalidArgument> { Peer(Config("some"), emptyList(), null, ByteArray(32), 0) }
        assertEquals("the transport policy \"some\" is not \"all\" or \"relay\"", policy.message)
        val server = IceServer(listOf("stan:example.org"))
        val uri = assertThrows<FrazilException.InvalidArgument> { Peer(Config(), listOf(server), null, ByteArray(32), 0) }
        assertTrue("stan" in uri.message.orEmpty(), uri.message)

        newPeer().use { peer ->
            assertEquals("invalid-state", assertThrows<FrazilException.InvalidState> { peer.createAnswer() }.reason)
            val nonsense = Description("offer", "v=1 \u2744 \uD83D\uDE00")
            val description = assertThrows<FrazilException.InvalidDescription> { peer.setRemoteDescription(nonsense, 0) }
            assertEquals("invalid-description", description.reason)
            val candidate = assertThrows<FrazilException> { peer.addIceCandidate(IceCandidate("candidate:x", "0"), 0) }
            assertTrue(candidate.reason in listOf("invalid-candidate", "invalid-state"), candidate.reason)
            val socket = HostSocket("udp", "192.0.2.300", 1U, "ethernet", 0U, 0U, false, false)
            val address = assertThrows<FrazilException.InvalidArgument> { peer.handleNetworkChange(listOf(socket), 0) }
            assertEquals("\"192.0.2.300\" is no IP address", address.message)
            val channel = ChannelConfig("x", maxRetransmits = 1U, maxPacketLifeTime = 1U)
            assertThrows<FrazilException.InvalidArgument> { peer.createDataChannel(channel, 0) }
            assertEquals("closed", assertThrows<FrazilException.Closed> { peer.send(7U, ByteArray(1), false, 0) }.reason)
            assertEquals("closed", assertThrows<FrazilException.Closed> { peer.send(7U, directBuffer(1), false, 0) }.reason)
            val opening = peer.createDataChannel(ChannelConfig("x"), 0)
            assertEquals("not-sent", assertThrows<FrazilException.NotSent> { peer.send(opening, ByteArray(1), false, 0) }.reason)
            assertEquals("not-sent", assertThrows<FrazilException.NotSent> { peer.send(opening, directBuffer(1), false, 0) }.reason)
            val read = assertThrows<FrazilException.InvalidArgument> { peer.release(7U, -1, 0) }
            assertEquals("-1 bytes, where fewer than none cannot be read", read.message)
            val early = assertThrows<FrazilException.InvalidArgument> { peer.handleTimeout(-1) }
            assertEquals("the time -1 is negative", early.message)
            assertEquals("the time -7 is negative", assertThrows<FrazilException.InvalidArgument> { peer.leave(-7) }.message)
        }
    }

    @Test
    fun aPasswordIsNotShown() {
        val config = IceServer(listOf("turn:turn.example.org"), "otto", "secret")
        assertEquals("""IceServer(urls=["turn:turn.example.org"], username=otto)""", "$config")
        assertEquals(config, config.copy())
        assertNotEquals(config, config.copy(credential = "another"))
    }

    @Test
    fun buffersAreHeldToTheirBounds() {
        newPeer().use { peer ->
            val small = directBuffer(Peer.BATCH_BUFFER).limit(10)
            val length = assertThrows<FrazilException.InvalidArgument> { peer.pollTransmit(small) }
            assertEquals("a buffer of 10 bytes, where ${Peer.MIN_BUFFER} are needed", length.message)
            val batch = assertThrows<FrazilException.InvalidArgument> { peer.pollTransmits(small.position(8)) }
            assertEquals("a buffer of 2 bytes, where ${Peer.MIN_BUFFER + 8} are needed", batch.message)
            val heap = assertThrows<FrazilException.InvalidArgument> { peer.pollTransmit(ByteBuffer.allocate(Peer.MIN_BUFFER)) }
            assertEquals("the buffer is not direct", heap.message)
            val readOnly = directBuffer(Peer.BATCH_BUFFER).asReadOnlyBuffer()
            assertThrows<FrazilException.InvalidArgument> { peer.pollTransmits(readOnly) }
            assertThrows<FrazilException.InvalidArgument> { peer.pollMessages(readOnly) }
            val cut = directBuffer(ByteArray(11) { if (it == 4) 9 else 0 })
            assertThrows<FrazilException.InvalidArgument> { peer.handleDatagrams(cut, 0) }
        }
    }

    @Test
    fun threadsMayReadTheSameBuffer() {
        val junk = ByteArray(1200) { it.toByte() }.also { it[0] = 23 }
        val shared = directBuffer(junk).asReadOnlyBuffer()
        val threads =
            List(3) {
                CompletableFuture.runAsync {
                    newPeer().use { peer ->
                        val path = peer.pathId(Path("udp", "192.0.2.1", 4000U, "192.0.2.2", 5000U))
                        repeat(1_000) { round -> assertTrue(peer.handleDatagram(path, shared, round.toLong())) }
                    }
                }
            }
        threads.forEach { it.get(60, TimeUnit.SECONDS) }
        assertEquals(junk.toList(), ByteArray(junk.size).also { shared.get(it) }.toList())
    }

    @Test
    fun statesHaveTheirWords() {
        newPeer().use { peer ->
            val states = listOf(peer.signalingState(), peer.iceConnectionState(), peer.iceGatheringState(), peer.connectionState())
            assertEquals(listOf("stable", "new", "new", "new"), states)
            peer.createDataChannel(ChannelConfig("x"), 0)
            peer.setLocalDescription(peer.createOffer(), 0)
            assertEquals("have-local-offer", peer.signalingState())
            assertNull(peer.failure())
            assertNull(peer.selectedPair())
            assertNull(peer.remoteDescription())
        }
        assertEquals(System.getProperty("frazil.version"), frazilVersion())
    }

    @Test
    fun aCertificateIsKept() {
        val certificate = newPeer().use { it.certificate() }
        Peer(Config(), emptyList(), certificate, ByteArray(32) { 1 }, 0).use { peer ->
            assertEquals(certificate.certificate.toList(), peer.certificate().certificate.toList())
            assertEquals(certificate.privateKey.toList(), peer.certificate().privateKey.toList())
        }
    }

    @Test
    fun aPathHasOneNumber() {
        newPeer().use { peer ->
            val path = Path("udp", "192.0.2.1", 4000U, "2001:db8::1", 65535U)
            val number = peer.pathId(path)
            assertEquals(path, peer.path(number))
            assertEquals(number, peer.pathId(path.copy()))
            assertNotEquals(number, peer.pathId(path.copy(remotePort = 1U)))
            assertNull(peer.path(12345U))
            assertFalse(peer.handleDatagram(12345U, directBuffer(ByteArray(20)), 0))
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = [false, true])
    fun twoPeersTalk(batched: Boolean) {
        VirtualPair(batched, Config(sendBuffer = 65_536U)).use { pair ->
            val (ours, theirs) = pair.connect(ChannelConfig("test", protocol = "p", ordered = false, maxRetransmits = 3U))
            val (a, b) = pair.ends
            val offered = b.events.filterIsInstance<Event.DataChannel>().single()
            assertEquals(Event.DataChannel(theirs, "test", "p", false, 3U, null), offered)
            assertTrue(a.heard<Event.ConnectionStateChange> { it.state == "connected" })
            assertEquals("192.0.2.2", a.peer.selectedPair()?.remoteIp)

            // From the middle of a buffer, whose position says so.
            assertTrue(a.peer.send(ours, directBuffer("Grüße \u2744".encodeToByteArray()), true, pair.now))
            assertTrue(b.peer.send(theirs, byteArrayOf(0, -1, 7), false, pair.now))
            pair.runUntil("both have heard") { a.messages.isNotEmpty() && b.messages.isNotEmpty() }
            assertEquals(listOf(Received(theirs, true, "Grüße \u2744".encodeToByteArray().toList())), b.messages)
            assertEquals(listOf(Received(ours, false, listOf<Byte>(0, -1, 7))), a.messages)

            var sent = 0
            while (a.peer.send(ours, ByteArray(16_384) { sent.toByte() }, false, pair.now)) sent++
            assertEquals(4, sent)
            assertTrue(a.peer.bufferedAmount(ours) > 0U)
            pair.runUntil("there is room") { a.heard<Event.BufferedAmountLow> { it.channel == ours } }
            assertTrue(a.peer.send(ours, ByteArray(16_384) { sent.toByte() }, false, pair.now))
            pair.runUntil("all has come") { b.messages.size == 6 }
            assertEquals(
                (0..4).toList(),
                b.messages.drop(1).map {
                    it.bytes
                        .distinct()
                        .single()
                        .toInt()
                },
            )
            pair.runUntil("all is acknowledged") { a.peer.bufferedAmount(ours) == 0U }

            a.peer.closeChannel(ours, pair.now)
            pair.runUntil("the channel is closed") { pair.ends.all { it.heard<Event.ChannelClosed>() } }
            assertThrows<FrazilException.Closed> { a.peer.send(ours, ByteArray(1), false, pair.now) }
            a.peer.leave(pair.now)
            pair.runUntil("the other side has seen it") { b.heard<Event.ConnectionStateChange> { it.state == "closed" } }
        }
    }
}
