import frazil.Channel
import frazil.ChannelConfig
import frazil.Connection
import frazil.Description
import frazil.Event
import frazil.FrazilException
import frazil.Message
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import java.security.MessageDigest
import java.security.SecureRandom
import kotlin.system.exitProcess

private const val USAGE =
    "usage: echo --signaling ws://HOST:PORT/ws --room ROOM --part offerer|answerer [--bytes 1048576] [--loopback]"
private const val LANGUAGE = "kotlin"
private const val MESSAGE_BYTES = 16_384
private const val LIMIT_MILLISECONDS = 120_000L

/**
 * Two of these programs, in whatever languages, connect and echo: the offerer sends random bytes, the answerer sends them back, and
 * both tell the hash of what came.
 */
fun main(words: Array<String>) {
    val arguments = arguments(words.toList())
    val part = arguments.getValue("--part")
    val report =
        runBlocking(Dispatchers.Default) {
            try {
                withTimeout(LIMIT_MILLISECONDS) { run(part, arguments) }
            } catch (_: TimeoutCancellationException) {
                failure(part, "not done within $LIMIT_MILLISECONDS ms")
            } catch (failure: Exception) {
                failure.printStackTrace()
                failure(part, failure.message ?: failure.toString())
            }
        }
    println(report)
    exitProcess(if ("error" in report) 1 else 0)
}

private suspend fun run(
    part: String,
    arguments: Map<String, String>,
): JsonObject {
    val info =
        buildJsonObject {
            put("part", part)
            put("language", LANGUAGE)
        }
    val room = Room.join(arguments.getValue("--signaling"), arguments.getValue("--room"), info)
    val loopback = "--loopback" in arguments
    val report =
        when (part) {
            "offerer" -> offer(room, loopback, arguments.getValue("--bytes").toInt())
            else -> answer(room, loopback)
        }
    room.leave()
    return report
}

private suspend fun offer(
    room: Room,
    loopback: Boolean,
    bytes: Int,
): JsonObject {
    val session = Session(room, room.memberWith("part", "answerer"), loopback)
    val channel = session.connection.createDataChannel(ChannelConfig("echo", protocol = "frazil-echo"))
    session.describe(session.connection.createOffer())
    val (sent, received) = session.whileTalking { sendAndReceive(channel, bytes) }
    session.connection.close()
    check(sent.sha256 == received.sha256) { "what came back has the SHA-256 ${received.sha256}, what was sent had ${sent.sha256}" }
    return session.report("offerer", received)
}

private suspend fun answer(
    room: Room,
    loopback: Boolean,
): JsonObject {
    val (offerer, offer) = room.offer()
    val session = Session(room, offerer, loopback)
    session.connection.setRemoteDescription(offer)
    session.describe(session.connection.createAnswer())
    val received =
        session.whileTalking {
            // That the channel closes is not enough: the connection must.
            echo(session.connection.incoming.first()).also { session.connection.state.first { it == "closed" } }
        }
    session.connection.close()
    return session.report("answerer", received)
}

/**
 * Sends random bytes, and takes what comes back meanwhile. Who sends all before receiving would wait for ever: neither side keeps
 * more than a buffer for the other.
 */
private suspend fun sendAndReceive(
    channel: Channel,
    bytes: Int,
): Pair<Transfer, Transfer> =
    coroutineScope {
        val sent = Transfer()
        val received = Transfer()
        launch {
            while (sent.bytes < bytes) {
                val message = ByteArray(minOf(MESSAGE_BYTES, bytes - sent.bytes)).also(SecureRandom()::nextBytes)
                sent.add(message)
                // This waits while the buffer is full.
                channel.send(message)
            }
        }
        while (received.bytes < bytes) {
            val message = checkNotNull(channel.receive()) { "the channel was closed before all had come back" }
            received.add((message as Message.Binary).bytes)
        }
        Pair(sent, received)
    }

/** Sends each message back, until the channel is closed. */
private suspend fun echo(channel: Channel): Transfer {
    val received = Transfer()
    channel.messages.collect { message ->
        val bytes = (message as Message.Binary).bytes
        received.add(bytes)
        channel.send(bytes)
    }
    return received
}

/** All that has gone one way, in order. */
private class Transfer {
    private val digest = MessageDigest.getInstance("SHA-256")
    var bytes = 0
        private set
    val sha256: String by lazy { digest.digest().joinToString("") { "%02x".format(it) } }

    fun add(message: ByteArray) {
        bytes += message.size
        digest.update(message)
    }
}

/** A connection to another member of a room. */
private class Session(
    private val room: Room,
    private val other: String,
    loopback: Boolean,
) {
    private val started = System.nanoTime()
    private var connectedAfter: Long? = null
    val connection = Connection(loopback = loopback)

    /** Takes an offer or an answer of ours into effect, and tells the other side. */
    suspend fun describe(description: Description) {
        connection.setLocalDescription(description)
        room.describe(other, description)
    }

    /** Does something while candidates and descriptions go to and fro. */
    suspend fun <R> whileTalking(action: suspend () -> R): R =
        coroutineScope {
            val telling = launch { connection.events.collect(::tell) }
            val listening = launch { room.newsFrom(other).collect(::listen) }
            action().also {
                telling.cancel()
                listening.cancel()
            }
        }

    private suspend fun tell(event: Event) {
        when (event) {
            is Event.LocalIceCandidate -> {
                room.trickle(other, event)
            }

            is Event.ConnectionStateChange -> {
                check(event.state != "failed") { "the connection failed: ${event.failure}" }
                if (event.state == "connected" && connectedAfter == null) connectedAfter = milliseconds()
            }

            else -> {}
        }
    }

    private fun listen(news: News) {
        when (news) {
            is News.Described -> {
                connection.setRemoteDescription(news.description)
            }

            is News.Trickled -> {
                // One candidate that is of no use does not end a connection.
                try {
                    connection.addIceCandidate(news.candidate)
                } catch (refused: FrazilException.InvalidCandidate) {
                    System.err.println("refused ${news.candidate}: ${refused.message}")
                }
            }
        }
    }

    fun report(
        part: String,
        received: Transfer,
    ): JsonObject =
        buildJsonObject {
            put("part", part)
            put("language", LANGUAGE)
            put("connected", connectedAfter != null)
            put("bytes", received.bytes)
            put("sha256", received.sha256)
            put("closed", connection.state.value == "closed")
            put("connectMilliseconds", connectedAfter)
            put("milliseconds", milliseconds())
        }

    private fun milliseconds() = (System.nanoTime() - started) / 1_000_000
}

private fun failure(
    part: String,
    why: String,
): JsonObject =
    buildJsonObject {
        put("part", part)
        put("language", LANGUAGE)
        put("error", why)
    }

private fun arguments(words: List<String>): Map<String, String> {
    val values = mutableMapOf("--bytes" to "1048576")
    val left = words.iterator()
    while (left.hasNext()) {
        val name = left.next()
        values[name] = if (name == "--loopback" || !left.hasNext()) "" else left.next()
    }
    val complete = listOf("--signaling", "--room", "--part").all(values::containsKey)
    if (!complete || values["--part"] !in listOf("offerer", "answerer") || values.getValue("--bytes").toIntOrNull() == null) {
        System.err.println(USAGE)
        exitProcess(2)
    }
    return values
}
