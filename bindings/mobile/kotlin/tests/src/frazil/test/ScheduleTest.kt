package frazil.test

import frazil.Certificate
import frazil.ChannelConfig
import frazil.Config
import frazil.Description
import frazil.Event
import frazil.HostSocket
import frazil.IceCandidate
import frazil.IceServer
import frazil.Path
import frazil.Peer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.TestFactory
import java.io.File
import java.util.HexFormat

/** Recorded inputs lead to the recorded outputs, to the byte, in every language. */
class ScheduleTest {
    @TestFactory
    fun replays(): List<DynamicTest> {
        val folder = File(System.getProperty("frazil.schedules"))
        val files = folder.listFiles { file -> file.extension == "txt" }.orEmpty().sorted()
        assertTrue(files.isNotEmpty(), "no schedules in $folder")
        return files.map { dynamicTest(it.name) { replay(it.readLines()) } }
    }

    private fun replay(lines: List<String>) {
        val told = lines.filter { it.isNotEmpty() && !it.startsWith("#") }
        assertEquals("frazil schedule 1", told.first())
        val replayer = Replayer()
        var at = 1
        while (at < told.size) {
            val input = told[at++]
            val expected = told.drop(at).takeWhile { it.startsWith("> ") }
            at += expected.size
            assertEquals(expected, replayer.take(input.split(' ')).map { "> $it" }, "after `${input.take(80)}`")
        }
    }
}

private class Replayer {
    private var seed = ByteArray(0)
    private var certificate: Certificate? = null
    private var config = Config()
    private val servers = ArrayList<IceServer>()
    private lateinit var peer: Peer
    private val buffer = directBuffer(Peer.MIN_BUFFER)

    /** Takes an input, and gives all that comes out. */
    fun take(words: List<String>): List<String> {
        val rest = words.drop(1)
        val values = rest.map { value -> value.takeIf { it != "-" } }
        when (words.first()) {
            "seed" -> {
                seed = hex(rest[0])
            }

            "certificate" -> {
                certificate = Certificate(hex(rest[0]), hex(rest[1]))
            }

            "config" -> {
                rest.forEach(::configure)
            }

            "server" -> {
                servers.add(IceServer(listOf(rest[0]), values[1], values[2]))
            }

            "new" -> {
                peer = Peer(config, servers, certificate, seed, rest[0].toLong())
            }

            "offer" -> {
                return listOf(described(peer.createOffer()))
            }

            "answer" -> {
                return listOf(described(peer.createAnswer()))
            }

            "path" -> {
                val (protocol, localIp, localPort, remoteIp, remotePort) = rest
                return listOf("path ${peer.pathId(Path(protocol, localIp, localPort.toUShort(), remoteIp, remotePort.toUShort()))}")
            }

            "restart" -> {
                peer.restartIce()
            }

            else -> {
                val first = takeAt(words[0], rest[0].toLong(), rest.drop(1), values.drop(1))
                return listOfNotNull(first) + drain()
            }
        }
        return emptyList()
    }

    /** Takes an input that has a time. What it gives itself comes before what it leads to. */
    private fun takeAt(
        name: String,
        now: Long,
        words: List<String>,
        values: List<String?>,
    ): String? {
        when (name) {
            "sockets" -> {
                peer.handleNetworkChange(words.map(::socket), now)
            }

            "end" -> {
                peer.endOfCandidates(now)
            }

            "channel" -> {
                return "channel ${peer.createDataChannel(ChannelConfig(words[0]), now)}"
            }

            "local" -> {
                peer.setLocalDescription(description(words), now)
            }

            "remote" -> {
                peer.setRemoteDescription(description(words), now)
            }

            "candidate" -> {
                peer.addIceCandidate(IceCandidate(hex(words[2]).decodeToString(), values[0], null, values[1]), now)
            }

            "resolved" -> {
                val addresses =
                    values
                        .getOrNull(1)
                        ?.split(',')
                        .orEmpty()
                        .filter(String::isNotEmpty)
                peer.handleResolved(words[0].toUInt(), addresses, now)
            }

            "datagram" -> {
                check(peer.handleDatagram(words[0].toUInt(), directBuffer(hex(words[1])), now)) { "the path is forgotten" }
            }

            "batch" -> {
                val entries = words.map { it.split(':') }.map { (path, bytes) -> Pair(path.toUInt().toInt(), hex(bytes)) }
                val batch = directBuffer(entries.sumOf { 8 + it.second.size })
                entries.forEach { (path, bytes) -> batch.putInt(path).putInt(bytes.size).put(bytes) }
                check(peer.handleDatagrams(batch.flip(), now) == entries.size) { "a path is forgotten" }
            }

            "opened" -> {
                peer.handleStreamOpened(words[0].toUInt(), now)
            }

            "closed" -> {
                peer.handleStreamClosed(words[0].toUInt(), now)
            }

            "stream" -> {
                peer.handleStreamData(words[0].toUInt(), hex(words[1]), now)
            }

            "timeout" -> {
                peer.handleTimeout(now)
            }

            "leave" -> {
                peer.leave(now)
            }

            else -> {
                error("there is no input `$name`")
            }
        }
        return null
    }

    private fun drain(): List<String> {
        val lines = ArrayList<String>()
        do {
            val before = lines.size
            while (true) {
                buffer.clear()
                val transmit = peer.pollTransmit(buffer)
                if (transmit == 0L) break
                val bytes = ByteArray(transmit.toInt()).also(buffer::get)
                lines.add("transmit ${transmit ushr 32} ${hex(bytes)}")
            }
            while (true) {
                val event = peer.pollEvent() ?: break
                val detail = if (event is Event.LocalIceCandidate) " ${hex(event.candidate.encodeToByteArray()).ifEmpty { "-" }}" else ""
                lines.add("event ${event.javaClass.simpleName}$detail")
            }
        } while (lines.size > before)
        val deadline = peer.pollTimeout()
        lines.add("deadline ${if (deadline == Peer.NEVER) "-" else deadline}")
        return lines
    }

    private fun configure(setting: String) {
        val (name, value) = setting.split('=', limit = 2)
        config =
            when (name) {
                "ice_transport_policy" -> config.copy(iceTransportPolicy = value)
                "mdns_candidates" -> config.copy(mdnsCandidates = value.toBooleanStrict())
                "active_tcp" -> config.copy(activeTcp = value.toBooleanStrict())
                "max_message_size" -> config.copy(maxMessageSize = value.toUInt())
                "mtu" -> config.copy(mtu = value.toUInt())
                "dtls_1_3" -> config.copy(dtls13 = value.toBooleanStrict())
                "max_channels" -> config.copy(maxChannels = value.toUInt())
                "send_buffer" -> config.copy(sendBuffer = value.toUInt())
                "receive_buffer" -> config.copy(receiveBuffer = value.toUInt())
                else -> error("there is no setting `$name`")
            }
    }

    private fun described(description: Description) = "description ${description.type} ${hex(description.sdp.encodeToByteArray())}"

    private fun description(words: List<String>) = Description(words[0], hex(words[1]).decodeToString())

    private fun socket(text: String): HostSocket {
        val fields = text.split(',')
        val (protocol, ip, port, kind, index) = fields
        val (cost, temporary, deprecated) = fields.drop(5)
        return HostSocket(
            protocol = protocol,
            ip = ip,
            port = port.toUShort(),
            `interface` = kind,
            index = index.toUInt(),
            cost = cost.toUShort(),
            temporary = temporary.toBooleanStrict(),
            deprecated = deprecated.toBooleanStrict(),
        )
    }

    private fun hex(text: String): ByteArray = if (text == "-") ByteArray(0) else HexFormat.of().parseHex(text)

    private fun hex(bytes: ByteArray): String = HexFormat.of().formatHex(bytes)
}
