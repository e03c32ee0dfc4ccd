package frazil

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException

/**
 * One end of a connection, without sockets, clocks or threads. [Connection] is a driver for it.
 *
 * After every call that takes `now`, take out all transmits ([pollTransmits]), then all events ([pollEvent]), until there are
 * neither; then call [handleTimeout] when [pollTimeout] says at the latest. `now` is in nanoseconds of a monotonic clock whose
 * epoch is yours; it is not negative.
 *
 * Buffers are direct. The bytes between a buffer's position and its limit are meant, and both stay as they are.
 *
 * Any thread may call; calls wait for one another, and for nothing else. Every call fails with [FrazilException.Panicked] after
 * the core has broken down, and else with [FrazilException.Closed] after [close].
 *
 * @param config how it works
 * @param servers the STUN and TURN servers to ask
 * @param certificate a certificate that was kept; without one a new one is made
 * @param seed 32 bytes from the system's generator, from which everything comes that must not be guessed
 * @param now the time
 * @throws FrazilException.InvalidArgument if an argument cannot be
 */
public class Peer
    @JvmOverloads
    constructor(
        config: Config,
        servers: List<IceServer>,
        certificate: Certificate? = null,
        seed: ByteArray,
        now: Long,
    ) : AutoCloseable {
        private val native = spelled { NativePeer(config, servers, certificate, direct(seed), time(now)) }
        private val packets = Packets(native)

        /** Frees what the peer holds, without a word to the other side: [leave] says it. To close twice is no error. */
        override fun close(): Unit = native.shutdown()

        // What the machine has.

        /**
         * Takes the list of all sockets that the driver has now, such as [hostSockets] gave to bind. The first list begins the
         * gathering; each later one that differs leads to [Event.NetworkChange].
         *
         * @throws FrazilException.InvalidArgument if a socket of the list cannot be
         */
        public fun handleNetworkChange(
            sockets: List<HostSocket>,
            now: Long,
        ): Unit = spelled { native.handleNetworkChange(sockets, time(now)) }

        /**
         * Says that all sockets were named. Once the servers have answered as well, the other side is told that there are no more
         * candidates.
         */
        public fun endOfCandidates(now: Long): Unit = native.endOfCandidates(time(now))

        /**
         * W3C `setConfiguration`, of the servers. With credentials that were renewed, what was lent with the old ones is kept.
         *
         * @throws FrazilException.InvalidArgument if a server cannot be
         */
        public fun setServers(
            servers: List<IceServer>,
            now: Long,
        ): Unit = spelled { native.setServers(servers, time(now)) }

        /**
         * The address of the socket that [Event.OpenSocket] has asked for; without an IP address there is none.
         *
         * @throws FrazilException.InvalidArgument if the IP address cannot be read
         */
        public fun handleSocketOpened(
            socket: UInt,
            localIp: String?,
            localPort: UShort,
            now: Long,
        ): Unit = spelled { native.handleSocketOpened(socket, localIp, localPort, time(now)) }

        /**
         * The IP addresses of a name that [Event.Resolve] asked for; none if it has none.
         *
         * @throws FrazilException.InvalidArgument if an IP address cannot be read
         */
        public fun handleResolved(
            request: UInt,
            addresses: List<String>,
            now: Long,
        ): Unit = spelled { native.handleResolved(request, addresses, time(now)) }

        // Offer and answer.

        /**
         * W3C `createOffer`. It has all candidates known by now.
         *
         * @throws FrazilException.InvalidState if the signalling state does not allow it
         */
        public fun createOffer(): Description = native.createOffer()

        /**
         * W3C `createAnswer`. It has all candidates known by now.
         *
         * @throws FrazilException.InvalidState if the signalling state does not allow it
         */
        public fun createAnswer(): Description = native.createAnswer()

        /**
         * W3C `setLocalDescription`: sets what was created last, or takes an offer back.
         *
         * @throws FrazilException.InvalidState if the signalling state does not allow it
         * @throws FrazilException.InvalidDescription if the text is not what was created
         */
        public fun setLocalDescription(
            description: Description,
            now: Long,
        ): Unit = spelled { native.setLocalDescription(description, time(now)) }

        /**
         * W3C `setRemoteDescription`. An offer takes back an offer of ours that waits for its answer.
         *
         * @throws FrazilException.InvalidState if the signalling state does not allow it
         * @throws FrazilException.InvalidDescription if something is wrong with the description
         */
        public fun setRemoteDescription(
            description: Description,
            now: Long,
        ): Unit = spelled { native.setRemoteDescription(description, time(now)) }

        /** W3C `localDescription`: the last one set, with all candidates known by now. */
        public fun localDescription(): Description? = native.localDescription()

        /** W3C `remoteDescription`: the last one set, with the candidates that came since. */
        public fun remoteDescription(): Description? = native.remoteDescription()

        /**
         * W3C `addIceCandidate`.
         *
         * @throws FrazilException.InvalidCandidate if the candidate cannot be read, belongs to nothing that was described, or is
         * over a limit
         */
        public fun addIceCandidate(
            candidate: IceCandidate,
            now: Long,
        ): Unit = spelled { native.addIceCandidate(candidate, time(now)) }

        /** W3C `restartIce`: the next offer restarts ICE. */
        public fun restartIce(): Unit = native.restartIce()

        // Datagrams.

        /**
         * The number of a path, to be used in [handleDatagram].
         *
         * @throws FrazilException.InvalidArgument if the path cannot be
         */
        public fun pathId(path: Path): UInt = spelled { native.pathId(path) }

        /**
         * The path with this number, as [pollTransmits] gives it; null if the number means none any more. It never means another
         * one.
         */
        public fun path(path: UInt): Path? = native.path(path)

        /**
         * Takes a datagram that the driver received. Whatever is wrong with it is counted and changes nothing.
         *
         * @return false if the number names no path any more: then ask for the path's number anew, and hand the datagram in again
         */
        public fun handleDatagram(
            path: UInt,
            datagram: ByteBuffer,
            now: Long,
        ): Boolean = packets.handleDatagram(path, datagram, now)

        /**
         * Takes a batch of datagrams, in their order. Each is the number of its path and its length, 4 bytes each with the low byte
         * first, and then the bytes themselves.
         *
         * @return how many were taken: fewer than all if the number of the next one names no path any more
         * @throws FrazilException.InvalidArgument if the batch is cut short; then nothing was taken
         */
        public fun handleDatagrams(
            batch: ByteBuffer,
            now: Long,
        ): Int = packets.handleDatagrams(batch, now)

        /**
         * The next datagram to send, written into the buffer.
         *
         * @return its length, plus 2^32 times the number of its path; 0 if there is none
         * @throws FrazilException.InvalidArgument if the buffer has no room for [MIN_BUFFER] bytes
         */
        public fun pollTransmit(buffer: ByteBuffer): Long = packets.pollTransmit(buffer)

        /**
         * The next datagrams to send, up to 16, as a batch in the buffer, laid out as in [handleDatagrams].
         *
         * @return how many bytes the batch has; there may be more datagrams as long as that is not 0
         * @throws FrazilException.InvalidArgument if the buffer has no room for one, which is [MIN_BUFFER] and 8 bytes;
         * [BATCH_BUFFER] bytes have room for all 16
         */
        public fun pollTransmits(buffer: ByteBuffer): Int = packets.pollTransmits(buffer)

        // Streams.

        /** Says that the stream that [Event.OpenStream] asked for is open. */
        public fun handleStreamOpened(
            path: UInt,
            now: Long,
        ): Unit = native.handleStreamOpened(path, time(now))

        /**
         * Takes a stream that somebody opened to a socket of ours, and gives the number of its path.
         *
         * @throws FrazilException.InvalidArgument if the stream is of no use; the driver closes it
         */
        public fun handleStreamAccepted(
            path: Path,
            now: Long,
        ): UInt = spelled { native.handleStreamAccepted(path, time(now)) }

        /** Takes bytes of a stream as they come, cut anywhere. Whatever is wrong with them is counted and changes nothing. */
        public fun handleStreamData(
            path: UInt,
            bytes: ByteArray,
            now: Long,
        ): Unit = native.handleStreamData(path, direct(bytes), time(now))

        /** Says that a stream is closed, was broken, or could not be opened. */
        public fun handleStreamClosed(
            path: UInt,
            now: Long,
        ): Unit = native.handleStreamClosed(path, time(now))

        // Time and events.

        /** Lets time pass. */
        public fun handleTimeout(now: Long): Unit = packets.handleTimeout(now)

        /** When [handleTimeout] is to be called at the latest; [NEVER] if it need not be. */
        public fun pollTimeout(): Long = packets.pollTimeout()

        /** The next thing that happened; null if there is none. */
        public fun pollEvent(): Event? = native.pollEvent()

        /** What [pollEvent] would give: [NOTHING], a [MESSAGE], which [pollMessages] takes out at less cost, or another [EVENT]. */
        public fun waiting(): Int = packets.waiting()

        /**
         * The next messages, up to the next other event and 16 at the most, as a batch in the buffer. Each is the number of its
         * channel and its length, 4 bytes each with the low byte first, and then the bytes themselves. The top bit of the length is
         * set if the message is text.
         *
         * @return how many bytes the batch has; there may be more messages as long as that is not 0
         * @throws FrazilException.InvalidArgument if the buffer has no room for the first message, which is kept
         */
        public fun pollMessages(buffer: ByteBuffer): Int = packets.pollMessages(buffer)

        // Data channels.

        /**
         * W3C `createDataChannel`. It opens once the connection is there.
         *
         * @return its number
         * @throws FrazilException.InvalidChannel if the connection is over, or the configuration is not possible
         */
        public fun createDataChannel(
            config: ChannelConfig,
            now: Long,
        ): UInt = spelled { native.createDataChannel(config, time(now)) }

        /**
         * Sends a message; text is UTF-8.
         *
         * @return false if as much is buffered as may be: then [Event.BufferedAmountLow] comes when there is room
         * @throws FrazilException.Closed if the channel is closed, or about to be
         * @throws FrazilException.NotSent if the channel is not open yet, or the message is too long for the other side, or text and
         * not UTF-8
         */
        public fun send(
            channel: UInt,
            message: ByteBuffer,
            text: Boolean,
            now: Long,
        ): Boolean = packets.send(channel, message, text, now)

        /**
         * Sends a message; text is UTF-8.
         *
         * @return false if as much is buffered as may be: then [Event.BufferedAmountLow] comes when there is room
         * @throws FrazilException.Closed if the channel is closed, or about to be
         * @throws FrazilException.NotSent if the channel is not open yet, or the message is too long for the other side, or text and
         * not UTF-8
         */
        public fun send(
            channel: UInt,
            message: ByteArray,
            text: Boolean,
            now: Long,
        ): Boolean = packets.send(channel, message, text, now)

        /**
         * Says that the application has read that many bytes of the messages of a channel, where the configuration has a
         * `receiveBuffer`.
         *
         * @throws FrazilException.InvalidArgument if they are fewer than none
         */
        public fun release(
            channel: UInt,
            bytes: Int,
            now: Long,
        ) {
            if (bytes < 0) throw FrazilException.InvalidArgument("$bytes bytes, where fewer than none cannot be read")
            packets.release(channel, bytes, now)
        }

        /**
         * Says how many channels of the other side's the driver keeps for an application that is slow to take them: above 256 the
         * other side's bulk data is held back, until no more than half as many wait.
         */
        public fun setEventBacklog(
            waiting: UInt,
            now: Long,
        ): Unit = native.setEventBacklog(waiting, time(now))

        /** W3C `bufferedAmount`: bytes that the other side has not acknowledged yet. */
        public fun bufferedAmount(channel: UInt): UInt = native.bufferedAmount(channel)

        /** W3C `bufferedAmountLowThreshold`, in bytes. Zero at first. */
        public fun setBufferedAmountLowThreshold(
            channel: UInt,
            bytes: UInt,
        ): Unit = native.setBufferedAmountLowThreshold(channel, bytes)

        /** Closes a channel once what was sent is delivered. [Event.ChannelClosed] follows on both sides. */
        public fun closeChannel(
            channel: UInt,
            now: Long,
        ): Unit = native.closeChannel(channel, time(now))

        /**
         * Leaves: all channels are gone at once, and the other side is told. Go on taking out transmits and minding timeouts until
         * there are no more, two seconds at the most, so that it is told again if the first word is lost, and servers get back what
         * they lent; then [close].
         */
        public fun leave(now: Long): Unit = native.leave(time(now))

        // What is going on.

        /** W3C `signalingState`. */
        public fun signalingState(): String = native.signalingState()

        /** W3C `iceConnectionState`. */
        public fun iceConnectionState(): String = native.iceConnectionState()

        /** W3C `iceGatheringState`. */
        public fun iceGatheringState(): String = native.iceGatheringState()

        /** W3C `connectionState`. */
        public fun connectionState(): String = native.connectionState()

        /** Why the connection failed; null if it did not. */
        public fun failure(): String? = native.failure()

        /** The pair that carries the traffic; null if there is none. */
        public fun selectedPair(): Pair? = native.selectedPair()

        /** Our certificate with its key, to be kept for another peer. */
        public fun certificate(): Certificate = native.certificate()

        /** Numbers that calls take and give. */
        public companion object {
            /** No deadline. */
            public const val NEVER: Long = Long.MAX_VALUE

            /** Nothing waits to be taken out. */
            public const val NOTHING: Int = 0

            /** A message waits to be taken out. */
            public const val MESSAGE: Int = 1

            /** An event waits to be taken out that is no message. */
            public const val EVENT: Int = 2

            /** The smallest buffer that [pollTransmit] takes, in bytes. */
            @JvmField
            public val MIN_BUFFER: Int = minBuffer().toInt()

            /** The smallest buffer that [pollTransmits] can fill with 16 datagrams, in bytes. */
            @JvmField
            public val BATCH_BUFFER: Int = batchBuffer().toInt()
        }
    }

private fun time(now: Long): ULong = if (now < 0) throw FrazilException.InvalidArgument("the time $now is negative") else now.toULong()

/** Makes a call with texts, of which one may be none: half of a surrogate pair has no UTF-8. */
internal inline fun <R> spelled(call: () -> R): R =
    try {
        call()
    } catch (_: CharacterCodingException) {
        throw FrazilException.InvalidArgument("a text has half of a surrogate pair")
    }

/** What uniffi takes for borrowed bytes; it takes them from the start of the buffer, whatever its position. */
private fun direct(bytes: ByteArray): ByteBuffer = ByteBuffer.allocateDirect(bytes.size).put(bytes).flip()
