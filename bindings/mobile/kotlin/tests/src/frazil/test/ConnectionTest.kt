package frazil.test

import frazil.Channel
import frazil.ChannelConfig
import frazil.Config
import frazil.Connection
import frazil.Description
import frazil.Event
import frazil.FrazilException
import frazil.IceCandidate
import frazil.Message
import frazil.reason
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import java.io.File
import java.net.DatagramPacket
import java.net.DatagramSocket
import java.net.InetAddress
import java.util.concurrent.TimeUnit
import kotlin.random.Random

/** Two connections of this process, over loopback. */
class LoopbackPair(
    config: Config = Config(),
) {
    val offerer = Connection(config, loopback = true)
    val answerer = Connection(config, loopback = true)

    /** Has them offer and answer. Candidates are told as they come. */
    suspend fun negotiate(scope: CoroutineScope) {
        val offer = offerer.createOffer()
        offerer.setLocalDescription(offer)
        answerer.setRemoteDescription(offer)
        val answer = answerer.createAnswer()
        answerer.setLocalDescription(answer)
        offerer.setRemoteDescription(answer)
        scope.launch { tell(offerer, answerer) }
        scope.launch { tell(answerer, offerer) }
    }

    private suspend fun tell(
        from: Connection,
        to: Connection,
    ) = from.events.collect { event ->
        if (event is Event.LocalIceCandidate) {
            with(event) {
                try {
                    to.addIceCandidate(IceCandidate(candidate, sdpMid, sdpMLineIndex, usernameFragment))
                } catch (_: FrazilException.Closed) {
                    // It has no use for it any more.
                }
            }
        }
    }

    /** Connects them with one channel, and gives its ends. */
    suspend fun connect(scope: CoroutineScope): Pair<Channel, Channel> {
        val ours = offerer.createDataChannel(ChannelConfig("test", protocol = "p"))
        negotiate(scope)
        return Pair(ours, answerer.incoming.first())
    }

    suspend fun close() = coroutineScope { listOf(offerer, answerer).map { async { it.close() } }.awaitAll() }
}

fun bounded(action: suspend CoroutineScope.() -> Unit) = runBlocking(Dispatchers.Default) { withTimeout(60_000, action) }

class ConnectionTest {
    @Test
    fun aMebibyteIsEchoedWithBackPressure() =
        bounded {
            // Each of the buffers holds a small part of it.
            val pair = LoopbackPair(Config(sendBuffer = 65_536U, receiveBuffer = 65_536U))
            val (ours, theirs) = pair.connect(this)
            assertEquals(listOf("test", "p"), listOf(theirs.label, theirs.protocol))
            val echo =
                launch {
                    theirs.messages.collect {
                        when (it) {
                            is Message.Text -> theirs.send(it.text)
                            is Message.Binary -> theirs.send(it.bytes)
                        }
                    }
                }
            val sent = Random(1).nextBytes(1_048_576)
            launch {
                ours.send("Grüße \u2744")
                sent.asSequence().chunked(16_384).forEach { ours.send(it.toByteArray()) }
            }
            assertEquals(Message.Text("Grüße \u2744"), ours.receive())
            val back = List(64) { (ours.receive() as Message.Binary).bytes }
            assertArrayEquals(sent, back.reduce(ByteArray::plus))
            assertEquals("connected", pair.offerer.state.value)
            assertEquals("host", pair.offerer.selectedPair()?.localType)

            // The other side sees that the connection is closed, and its channel with it.
            pair.offerer.close()
            pair.answerer.state.first { it == "closed" }
            echo.join()
            assertNull(theirs.receive())
            pair.answerer.close()
        }

    @Test
    fun whoClosesAChannelIsHeardOut() =
        bounded {
            val pair = LoopbackPair()
            val (ours, theirs) = pair.connect(this)
            repeat(10) { ours.send("$it") }
            ours.close()
            ours.close()
            assertEquals(List(10) { Message.Text("$it") }, theirs.messages.toList())
            assertNull(ours.receive())
            assertEquals("not-sent", assertThrows<FrazilException.NotSent> { theirs.send("late") }.reason)
            // The connection goes on.
            val another = pair.answerer.createDataChannel(ChannelConfig("another"))
            val offered = pair.offerer.incoming.first()
            assertEquals("another", offered.label)
            another.send("")
            another.send(ByteArray(0))
            assertEquals(Message.Text(""), offered.receive())
            assertEquals(0, (offered.receive() as Message.Binary).bytes.size)
            pair.close()
        }

    @Test
    fun whoeverWaitsIsTold() =
        bounded {
            val pair = LoopbackPair(Config(sendBuffer = 65_536U, receiveBuffer = 65_536U))
            val (ours, _) = pair.connect(this)
            val unread = async { runCatching { while (true) ours.send(ByteArray(16_384)) } }
            val silent = async { ours.receive() }
            val offered = async { pair.offerer.incoming.toList() }
            val early = pair.offerer.createDataChannel(ChannelConfig("early"))
            // What is sent fills all buffers, as nobody reads it.
            pair.close()
            assertTrue(unread.await().exceptionOrNull() is FrazilException, "${unread.await()}")
            assertNull(silent.await())
            assertEquals(emptyList<Channel>(), offered.await())
            assertThrows<FrazilException> { early.send("x") }
        }

    @Test
    fun garbageDoesNoHarm() =
        bounded {
            val pair = LoopbackPair()
            val (ours, theirs) = pair.connect(this)
            val target = checkNotNull(pair.answerer.selectedPair())
            val source = Random(7)
            val address = InetAddress.getByName(target.localIp)
            // From more senders than the driver keeps in mind.
            repeat(600) {
                DatagramSocket(0, address).use { socket ->
                    repeat(5) { round ->
                        val junk = source.nextBytes(listOf(0, 1, 20, 1200, 9000)[round])
                        if (junk.isNotEmpty()) junk[0] = (it % 256).toByte()
                        socket.send(DatagramPacket(junk, junk.size, address, target.localPort.toInt()))
                    }
                }
            }
            ours.send("still here")
            assertEquals(Message.Text("still here"), theirs.receive())
            pair.close()
        }

    @Test
    fun afterCloseEveryCallIsRefused() =
        bounded {
            val connection = Connection(loopback = true)
            val events = async { connection.events.toList() }
            connection.close()
            connection.close()
            events.await()
            assertEquals("closed", connection.state.value)
            val calls =
                listOf<() -> Unit>(
                    { connection.createDataChannel(ChannelConfig("x")) },
                    { connection.createOffer() },
                    { connection.createAnswer() },
                    { connection.setLocalDescription(Description("rollback", "")) },
                    { connection.setRemoteDescription(Description("rollback", "")) },
                    { connection.addIceCandidate(IceCandidate("")) },
                    { connection.localDescription() },
                    { connection.remoteDescription() },
                    { connection.restartIce() },
                    { connection.selectedPair() },
                    { connection.certificate() },
                )
            calls.forEach { call -> assertEquals("closed", assertThrows<FrazilException.Closed> { call() }.reason) }
        }

    @Test
    fun aBrokenCoreIsToldToWhoeverWaits() =
        bounded {
            val connection = Connection(loopback = true)
            val channel = connection.createDataChannel(ChannelConfig("x"))
            connection.setLocalDescription(connection.createOffer())
            val waiting = listOf(async { runCatching { connection.events.toList() } }, async { runCatching { channel.receive() } })
            injectPanic()
            // Whoever calls next, this or the driver, is the one in which it panics.
            runCatching { while (true) connection.selectedPair() }
            waiting.awaitAll().forEach { assertTrue(it.exceptionOrNull() is FrazilException.Panicked, "$it") }
            assertThrows<FrazilException.Panicked> { connection.createOffer() }
            connection.close()
        }

    @Test
    fun whatACollectorThrowsIsNotSwallowed() =
        bounded {
            val connection = Connection(loopback = true)
            connection.createDataChannel(ChannelConfig("x"))
            connection.setLocalDescription(connection.createOffer())
            val thrown = runCatching { connection.events.collect { error("of the application's own") } }
            assertEquals("of the application's own", thrown.exceptionOrNull()?.message)
            assertEquals("new", connection.state.value)
            connection.close()
        }

    @Test
    fun anIdleProcessEnds() {
        val java = File(System.getProperty("java.home"), "bin/java").path
        for (open in listOf("closed", "open")) {
            val output = File.createTempFile("frazil", ".log")
            val child =
                ProcessBuilder(java, "-cp", System.getProperty("java.class.path"), "frazil.test.IdleKt", open)
                    .redirectErrorStream(true)
                    .redirectOutput(output)
                    .start()
            val ended = child.waitFor(30, TimeUnit.SECONDS)
            child.destroyForcibly()
            assertTrue(ended && child.exitValue() == 0, output.readText())
            output.delete()
        }
    }
}
