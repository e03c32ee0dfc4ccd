package frazil.test

import frazil.Channel
import frazil.ChannelConfig
import frazil.Config
import frazil.Connection
import frazil.Description
import frazil.Event
import frazil.FrazilException
import frazil.IceCandidate
import frazil.IceServer
import frazil.Message
import frazil.hostSockets
import frazil.reason
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.withTimeoutOrNull
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import java.io.File
import java.net.DatagramPacket
import java.net.DatagramSocket
import java.net.InetAddress
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicBoolean
import kotlin.concurrent.thread
import kotlin.coroutines.CoroutineContext
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

/** Runs what it is given step by step, when it is told to. */
private class Steps : CoroutineDispatcher() {
    private val steps = LinkedBlockingQueue<Runnable>()

    override fun dispatch(
        context: CoroutineContext,
        block: Runnable,
    ) = steps.put(block)

    fun next(): Runnable = checkNotNull(steps.poll(120, TimeUnit.SECONDS))
}

fun bounded(action: suspend CoroutineScope.() -> Unit) = runBlocking(Dispatchers.Default) { withTimeout(120_000, action) }

class ConnectionTest {
    @Test
    fun aMebibyteIsEchoedWithBackPressure() =
        bounded {
            // Each of the buffers holds a small part of it.
            val pair = LoopbackPair(Config(sendBuffer = 65_536U, receiveBuffer = 65_536U))
            val (ours, theirs) = pair.connect(this)
            pair.offerer.createDataChannel(ChannelConfig("loose", ordered = false))
            val loose = pair.answerer.incoming.first()
            assertEquals(listOf("loose", false), listOf(loose.label, loose.ordered))
            for (end in listOf(ours, theirs)) assertEquals(listOf("test", "p", true), listOf(end.label, end.protocol, end.ordered))
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
    fun messagesOfEveryLengthArrive() =
        bounded {
            val pair = LoopbackPair(Config(receiveBuffer = 4096U))
            val (ours, theirs) = pair.connect(this)
            // More empty ones than the other side has room for.
            val empty = 6_000
            launch {
                repeat(empty) { if (it % 2 == 0) ours.send("") else ours.send(ByteArray(0)) }
                ours.send(ByteArray(262_144))
                val long = runCatching { ours.send(ByteArray(262_145)) }.exceptionOrNull()
                assertTrue(long is FrazilException.NotSent, "$long")
            }
            repeat(empty) {
                val message = theirs.receive()
                if (it % 2 == 0) assertEquals(Message.Text(""), message) else assertEquals(0, (message as Message.Binary).bytes.size)
            }
            assertEquals(262_144, (theirs.receive() as Message.Binary).bytes.size)
            pair.close()
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
            for (end in listOf(ours, theirs)) {
                assertEquals("closed", assertThrows<FrazilException.Closed> { end.send("late") }.reason)
                assertThrows<FrazilException.Closed> { end.opened() }
                end.closed()
                assertEquals(0U, end.bufferedAmount)
            }
            // The connection goes on.
            val another = pair.answerer.createDataChannel("another")
            another.opened()
            val offered = pair.offerer.incoming.first()
            assertEquals("another", offered.label)
            another.send(Message.Text(""))
            another.send(Message.Binary(ByteArray(0)))
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
            assertTrue(unread.await().exceptionOrNull() is FrazilException.Closed, "${unread.await()}")
            assertNull(silent.await())
            assertEquals(emptyList<Channel>(), offered.await())
            assertThrows<FrazilException.Closed> { early.send("x") }
        }

    @Test
    fun whoeverWaitsHasAnEndBeforeTheOtherSideIsTold() =
        // One thread, which resumes all in the order in which they can go on.
        runBlocking {
            withTimeout(120_000) {
                val pair = LoopbackPair(Config(sendBuffer = 65_536U, receiveBuffer = 65_536U))
                val (ours, theirs) = pair.connect(this)
                theirs.send("kept")
                while (theirs.bufferedAmount > 0U) yield()
                val news = async { pair.offerer.events.toList() }
                val unopened = Connection(loopback = true)
                val unopenedChannel = unopened.createDataChannel("x")
                val waiting =
                    listOf(
                        async { assertThrows<FrazilException.Closed> { while (true) ours.send(ByteArray(16_384)) } },
                        async { pair.offerer.incoming.toList() },
                        async { ours.closed() },
                        async { assertThrows<FrazilException.Closed> { unopenedChannel.opened() } },
                        async { assertThrows<FrazilException.Closed> { unopenedChannel.send("x") } },
                        async { assertNull(unopenedChannel.receive()) },
                        async { unopened.events.toList() },
                    )
                // All of them wait.
                while (ours.bufferedAmount < 49_152U) yield()
                val closing = launch { pair.offerer.close() }
                launch { unopened.close() }
                waiting.awaitAll()
                assertTrue(closing.isActive)
                assertEquals("closed", pair.offerer.state.value)
                assertEquals(0U, ours.bufferedAmount)
                assertEquals(listOf(Message.Text("kept")), ours.messages.toList())
                assertThrows<FrazilException.Closed> { pair.offerer.createDataChannel("late") }
                news.await()
                closing.join()
                pair.answerer.close()
            }
        }

    @Test
    fun whoWaitsForTheEndOfAChannelLosesNothing() =
        bounded {
            val pair = LoopbackPair()
            val (ours, theirs) = pair.connect(this)
            // Each side has more for the other than that reads, and neither reads on.
            val flood = launch { runCatching { while (true) theirs.send(ByteArray(16_384)) } }
            while (theirs.bufferedAmount < 1_000_000U) yield()
            repeat(50) { ours.send(ByteArray(16_384)) }
            ours.close()
            ours.closed()
            pair.offerer.close()
            assertEquals(50, theirs.messages.toList().size)
            flood.join()
            pair.answerer.close()
        }

    @Test
    fun aChannelThatClosesTakesNothing() =
        bounded {
            val pair = LoopbackPair(Config(sendBuffer = 65_536U, receiveBuffer = 65_536U))
            val (ours, _) = pair.connect(this)
            val unread = async { assertThrows<FrazilException.Closed> { while (true) ours.send(ByteArray(16_384)) } }
            while (ours.bufferedAmount < 49_152U) yield()
            val early = pair.offerer.createDataChannel("early")
            early.close()
            ours.close()
            unread.await()
            assertThrows<FrazilException.Closed> { early.send("x") }
            assertThrows<FrazilException.Closed> { ours.send("x") }
            pair.close()
        }

    @Test
    fun whoSendsBeforeItOpensHasItsTurnFirst() =
        bounded {
            val pair = LoopbackPair()
            val ours = pair.offerer.createDataChannel("test")
            val steps = Steps()
            launch(steps) { ours.send("first") }
            steps.next().run()
            pair.negotiate(this)
            // It is open, and before the first goes on another comes.
            val turn = steps.next()
            launch(start = CoroutineStart.UNDISPATCHED) { ours.send("second") }
            turn.run()
            val theirs = pair.answerer.incoming.first()
            assertEquals(listOf("first", "second"), List(2) { (theirs.receive() as Message.Text).text })
            pair.close()
        }

    @Test
    fun channelsThatNobodyTakesAreKeptAndHoldTheOtherSideBack() =
        bounded {
            val pair = LoopbackPair()
            val first = pair.offerer.createDataChannel("first")
            pair.negotiate(this)
            first.opened()
            val labels = arrayListOf("first")
            while (labels.size < 3_000) {
                val label = "${labels.size}"
                val channel = pair.offerer.createDataChannel(label)
                labels.add(label)
                val limit = if (labels.size <= 257) 60_000L else 2_000L
                withTimeoutOrNull(limit) { channel.opened() } ?: break
                channel.close()
            }
            assertTrue(labels.size in 258..<3_000, "${labels.size}")
            // Once they are taken, things move again.
            assertEquals(
                labels,
                pair.answerer.incoming
                    .take(labels.size)
                    .toList()
                    .map(Channel::label),
            )
            pair.close()
        }

    @Test
    fun whoIsCancelledLosesNoMessage() =
        bounded {
            val pair = LoopbackPair()
            val (ours, theirs) = pair.connect(this)
            val steps = Steps()
            val impatient = launch(steps) { theirs.receive() }
            steps.next().run()
            ours.send("kept")
            // It is to have the message, and goes away before it has its turn.
            val turn = steps.next()
            impatient.cancel()
            turn.run()
            impatient.join()
            assertEquals(Message.Text("kept"), theirs.receive())
            pair.close()
        }

    @Test
    fun whatTheOtherSideClosesEndsByItself() =
        bounded {
            val pair = LoopbackPair()
            pair.connect(this)
            pair.offerer.close()
            // So do its events, for which what this runs in waits.
            assertEquals(emptyList<Channel>(), pair.answerer.incoming.toList())
            assertThrows<FrazilException.Closed> { pair.answerer.createOffer() }
        }

    @Test
    fun whatIsNoTextIsRefused() =
        bounded {
            val pair = LoopbackPair()
            val (ours, theirs) = pair.connect(this)
            val half = "\uD83D"
            val sent = runCatching { ours.send(half) }.exceptionOrNull()
            assertTrue(sent is FrazilException.InvalidArgument, "$sent")
            assertThrows<FrazilException.InvalidArgument> { pair.offerer.createDataChannel(ChannelConfig(half)) }
            assertThrows<FrazilException.InvalidArgument> { pair.offerer.addIceCandidate(IceCandidate("candidate:$half")) }
            assertThrows<FrazilException.InvalidArgument> { pair.offerer.setRemoteDescription(Description("offer", half)) }
            ours.send("$half\uDE00")
            assertEquals(Message.Text("\uD83D\uDE00"), theirs.receive())
            pair.close()
        }

    @Test
    fun whatTheDriverCannotDoIsRefused() {
        for (config in listOf(Config(mdnsCandidates = true), Config(activeTcp = true), Config("\uD83D"))) {
            assertThrows<FrazilException.InvalidArgument> { Connection(config) }
        }
    }

    @Test
    fun serversAreAskedThatWereNamedLater() =
        bounded {
            DatagramSocket(0, InetAddress.getByName("127.0.0.1")).use { server ->
                val connection = Connection(loopback = true)
                assertThrows<FrazilException.InvalidArgument> { connection.setServers(listOf(IceServer(listOf("stan:example.org")))) }
                connection.setServers(listOf(IceServer(listOf("stun:127.0.0.1:${server.localPort}"))))
                connection.createDataChannel("x")
                connection.setLocalDescription(connection.createOffer())
                server.soTimeout = 60_000
                val request = DatagramPacket(ByteArray(1_500), 1_500)
                server.receive(request)
                // A STUN Binding request.
                assertEquals(listOf<Byte>(0, 1), request.data.take(2))
                connection.close()
            }
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
            assertEquals(Event.ConnectionStateChange("closed", null), events.await().last())
            assertEquals("closed", connection.state.value)
            val calls =
                listOf<() -> Unit>(
                    { connection.createDataChannel("x") },
                    { connection.setServers(emptyList()) },
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
            val events = ArrayList<Event>()
            val calls =
                listOf<suspend () -> Any?>(
                    { channel.receive() },
                    { channel.opened() },
                    { channel.send("x") },
                    { channel.closed() },
                    { connection.incoming.toList() },
                    { connection.events.toList(events) },
                )
            val waiting = calls.map { async { runCatching { it() } } }
            injectPanic()
            // Whoever calls next, this or the driver, is the one in which it panics.
            runCatching { while (true) connection.selectedPair() }
            waiting.awaitAll().forEach { assertTrue(it.exceptionOrNull() is FrazilException.Panicked, "$it") }
            val last = events.last() as Event.ConnectionStateChange
            assertEquals("closed", last.state)
            assertTrue("broke down" in last.failure.orEmpty(), last.failure)
            assertEquals("closed", connection.state.value)
            repeat(2) {
                calls.forEach { call -> assertThrows<FrazilException.Panicked> { call() } }
                assertThrows<FrazilException.Panicked> { connection.createOffer() }
                assertThrows<FrazilException.Panicked> { connection.createDataChannel("x") }
                assertThrows<FrazilException.Panicked> { channel.bufferedAmount }
                connection.close()
            }
        }

    @Test
    fun aCoreThatBreaksDownAgainAndAgainHidesNoEnd() =
        bounded {
            val connection = Connection(loopback = true)
            val events = async { runCatching { connection.events.toList() } }
            val done = AtomicBoolean()
            injectPanic()
            val faults = thread { while (!done.get()) injectPanic() }
            connection.close()
            done.set(true)
            faults.join()
            // The last one is for nobody else.
            runCatching { hostSockets(loopback = true, linkLocal = false) }
            assertTrue(events.await().exceptionOrNull() is FrazilException.Panicked)
            assertEquals("closed", connection.state.value)
        }

    @Test
    fun aCoreThatBreaksDownOverItsFarewellIsClosedToo() =
        bounded {
            repeat(20) {
                val connection = Connection(loopback = true)
                // It has nothing to do once it has told so.
                connection.events.first { it is Event.IceGatheringStateChange && it.state == "complete" }
                injectPanic()
                connection.close()
                assertEquals("closed", connection.state.value)
            }
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
        // The last one has no IPv6, whatever the system has.
        for ((option, open) in listOf("-ea" to "closed", "-ea" to "open", "-Djava.net.preferIPv4Stack=true" to "closed")) {
            runProgram(option, "frazil.test.IdleKt", open)
        }
    }

    @Test
    fun whatJavaForbidsIsPassedOver() {
        assumeTrue(Runtime.version().feature() < 24, "from Java 24 on nothing can be forbidden")
        for (what in listOf("names", "sockets")) runProgram("-Djava.security.manager=allow", "frazil.test.ForbiddenKt", what)
    }

    private fun runProgram(
        option: String,
        program: String,
        word: String,
    ) {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val output = File.createTempFile("frazil", ".log")
        val child =
            ProcessBuilder(java, option, "-cp", System.getProperty("java.class.path"), program, word)
                .redirectErrorStream(true)
                .redirectOutput(output)
                .start()
        val ended = child.waitFor(120, TimeUnit.SECONDS)
        child.destroyForcibly()
        assertTrue(ended && child.exitValue() == 0, output.readText())
        output.delete()
    }
}
