package frazil

import java.nio.ByteBuffer

/**
 * The calls that are made for each datagram, by JNI. The other side is `jni.rs`.
 *
 * Each call hands its own object over the border, which holds [peer], so that the peer at [address] is there for as long as the
 * call lasts, whatever other threads do.
 */
internal class Packets(
    private val peer: NativePeer,
) {
    private val address: Long = peer.address().toLong()

    fun handleDatagram(
        path: UInt,
        datagram: ByteBuffer,
        now: Long,
    ): Boolean = handleDatagram(address, path.toInt(), datagram, datagram.position(), datagram.remaining(), now)

    fun handleDatagrams(
        batch: ByteBuffer,
        now: Long,
    ): Int = handleDatagrams(address, batch, batch.position(), batch.remaining(), now)

    fun pollTransmit(buffer: ByteBuffer): Long = pollTransmit(address, buffer.writable(), buffer.position(), buffer.remaining())

    fun pollTransmits(buffer: ByteBuffer): Int = pollTransmits(address, buffer.writable(), buffer.position(), buffer.remaining())

    fun pollMessages(buffer: ByteBuffer): Int = pollMessages(address, buffer.writable(), buffer.position(), buffer.remaining())

    fun waiting(): Int = waiting(address)

    fun handleTimeout(now: Long) = handleTimeout(address, now)

    fun pollTimeout(): Long = pollTimeout(address)

    fun send(
        channel: UInt,
        message: ByteBuffer,
        text: Boolean,
        now: Long,
    ): Boolean = send(address, channel.toInt(), message, message.position(), message.remaining(), text, now)

    fun send(
        channel: UInt,
        message: ByteArray,
        text: Boolean,
        now: Long,
    ): Boolean = sendArray(address, channel.toInt(), message, text, now)

    fun release(
        channel: UInt,
        bytes: Int,
        now: Long,
    ) = release(address, channel.toInt(), bytes, now)

    private fun ByteBuffer.writable(): ByteBuffer =
        if (isReadOnly) throw FrazilException.InvalidArgument("the buffer is read-only") else this

    private external fun handleDatagram(
        peer: Long,
        path: Int,
        buffer: ByteBuffer,
        offset: Int,
        length: Int,
        now: Long,
    ): Boolean

    private external fun handleDatagrams(
        peer: Long,
        buffer: ByteBuffer,
        offset: Int,
        length: Int,
        now: Long,
    ): Int

    private external fun pollTransmit(
        peer: Long,
        buffer: ByteBuffer,
        offset: Int,
        length: Int,
    ): Long

    private external fun pollTransmits(
        peer: Long,
        buffer: ByteBuffer,
        offset: Int,
        length: Int,
    ): Int

    private external fun pollMessages(
        peer: Long,
        buffer: ByteBuffer,
        offset: Int,
        length: Int,
    ): Int

    private external fun waiting(peer: Long): Int

    private external fun handleTimeout(
        peer: Long,
        now: Long,
    )

    private external fun pollTimeout(peer: Long): Long

    private external fun send(
        peer: Long,
        channel: Int,
        buffer: ByteBuffer,
        offset: Int,
        length: Int,
        text: Boolean,
        now: Long,
    ): Boolean

    private external fun sendArray(
        peer: Long,
        channel: Int,
        array: ByteArray,
        text: Boolean,
        now: Long,
    ): Boolean

    private external fun release(
        peer: Long,
        channel: Int,
        length: Int,
        now: Long,
    )
}
