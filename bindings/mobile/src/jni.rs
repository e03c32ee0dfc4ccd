//! The calls that are made for each datagram, for Kotlin, by JNI: uniffi 0.32 calls by JNA, which takes microseconds for what
//! takes nanoseconds here. The other side is `Packets.kt`. Once uniffi speaks JNI itself, both files can go.
//!
//! A peer comes as its address. It lives for as long as the call lasts, as the Java object whose method is called holds it;
//! after `close` that is a closed peer. Buffers are direct, and the part of them that is meant comes as two numbers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jni_sys::{JNIEnv, jboolean, jbyteArray, jint, jlong, jobject, jvalue};

use crate::error::FrazilError;
use crate::peer::Peer;

/// No deadline; a later one is none either.
const NEVER: jlong = jlong::MAX;

#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_handleDatagram(
    env: *mut JNIEnv,
    _packets: jobject,
    peer: jlong,
    path: jint,
    buffer: jobject,
    offset: jint,
    length: jint,
    now: jlong,
) -> jboolean {
    call(env, false, || {
        let datagram = unsafe { bytes(env, buffer, offset, length) }?;
        unsafe { borrow(peer) }.handle_datagram(path.cast_unsigned(), datagram, time(now)?)
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_handleDatagrams(
    env: *mut JNIEnv,
    _packets: jobject,
    peer: jlong,
    buffer: jobject,
    offset: jint,
    length: jint,
    now: jlong,
) -> jint {
    call(env, 0, || {
        let batch = unsafe { bytes(env, buffer, offset, length) }?;
        Ok(unsafe { borrow(peer) }.handle_datagrams(batch, time(now)?)?.cast_signed())
    })
}

/// The length, and the path times 2^32; 0 if there is none.
#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_pollTransmit(
    env: *mut JNIEnv,
    _packets: jobject,
    peer: jlong,
    buffer: jobject,
    offset: jint,
    length: jint,
) -> jlong {
    call(env, 0, || {
        let room = unsafe { room(env, buffer, offset, length) }?;
        Ok(unsafe { borrow(peer) }.transmit_into(room)?.cast_signed())
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_pollTransmits(
    env: *mut JNIEnv,
    _packets: jobject,
    peer: jlong,
    buffer: jobject,
    offset: jint,
    length: jint,
) -> jint {
    call(env, 0, || {
        let room = unsafe { room(env, buffer, offset, length) }?;
        Ok(unsafe { borrow(peer) }.0.poll_transmits(room)? as jint)
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_pollMessages(
    env: *mut JNIEnv,
    _packets: jobject,
    peer: jlong,
    buffer: jobject,
    offset: jint,
    length: jint,
) -> jint {
    call(env, 0, || {
        let room = unsafe { room(env, buffer, offset, length) }?;
        Ok(unsafe { borrow(peer) }.0.poll_messages(room)? as jint)
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_waiting(env: *mut JNIEnv, _packets: jobject, peer: jlong) -> jint {
    call(env, 0, || Ok(unsafe { borrow(peer) }.waiting()?.cast_signed()))
}

#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_handleTimeout(env: *mut JNIEnv, _packets: jobject, peer: jlong, now: jlong) {
    call(env, (), || unsafe { borrow(peer) }.handle_timeout(time(now)?));
}

#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_pollTimeout(env: *mut JNIEnv, _packets: jobject, peer: jlong) -> jlong {
    call(env, NEVER, || Ok(jlong::try_from(unsafe { borrow(peer) }.poll_timeout()?).unwrap_or(NEVER)))
}

#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_send(
    env: *mut JNIEnv,
    _packets: jobject,
    peer: jlong,
    channel: jint,
    buffer: jobject,
    offset: jint,
    length: jint,
    text: jboolean,
    now: jlong,
) -> jboolean {
    call(env, false, || {
        let message = unsafe { bytes(env, buffer, offset, length) }?;
        unsafe { borrow(peer) }.send(channel.cast_unsigned(), message, text, time(now)?)
    })
}

/// Sends the bytes of an array, which are copied: the array may move while the core has them.
#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_sendArray(
    env: *mut JNIEnv,
    _packets: jobject,
    peer: jlong,
    channel: jint,
    array: jbyteArray,
    text: jboolean,
    now: jlong,
) -> jboolean {
    call(env, false, || {
        let message = unsafe { copy(env, array) };
        unsafe { borrow(peer) }.send(channel.cast_unsigned(), &message, text, time(now)?)
    })
}

#[unsafe(no_mangle)]
extern "system" fn Java_frazil_Packets_release(
    env: *mut JNIEnv,
    _packets: jobject,
    peer: jlong,
    channel: jint,
    length: jint,
    now: jlong,
) {
    call(env, (), || unsafe { borrow(peer) }.release(channel.cast_unsigned(), length.cast_unsigned(), time(now)?));
}

/// What the closure gives. Its error, or its panic, becomes an exception; then `otherwise` is given, which nobody sees.
fn call<R>(env: *mut JNIEnv, otherwise: R, closure: impl FnOnce() -> Result<R, FrazilError>) -> R {
    // What the core does is caught before this, by the border, which has the peer refuse what comes later.
    let caught = catch_unwind(AssertUnwindSafe(closure));
    let broken = || FrazilError::Panicked { reason: "the border broke down".to_owned() };
    caught.unwrap_or_else(|_| Err(broken())).unwrap_or_else(|error| {
        // SAFETY: it is the environment of the call.
        unsafe { throw(env, &error) };
        otherwise
    })
}

/// The peer at this address.
///
/// # Safety
/// The address comes from `Peer::address`, and the caller's Java object holds the peer.
unsafe fn borrow<'p>(peer: jlong) -> &'p Peer {
    // SAFETY: what this function asks of its caller.
    unsafe { &*(peer as usize as *const Peer) }
}

/// What stands in that part of a direct buffer. Several threads may lend the same bytes.
///
/// # Safety
/// `env` is that of the call, and nobody writes to the bytes while the call lasts.
unsafe fn bytes<'b>(env: *mut JNIEnv, buffer: jobject, offset: jint, length: jint) -> Result<&'b [u8], FrazilError> {
    // SAFETY: `part` gives what lies within the buffer, whose bytes the virtual machine has set to zero when it made it.
    unsafe { part(env, buffer, offset, length).map(|(start, len)| std::slice::from_raw_parts(start, len)) }
}

/// That part of a direct buffer, to be written to.
///
/// # Safety
/// `env` is that of the call, and the bytes are nobody else's while the call lasts.
unsafe fn room<'b>(env: *mut JNIEnv, buffer: jobject, offset: jint, length: jint) -> Result<&'b mut [u8], FrazilError> {
    // SAFETY: as in `bytes`.
    unsafe { part(env, buffer, offset, length).map(|(start, len)| std::slice::from_raw_parts_mut(start, len)) }
}

/// Where that part of a direct buffer begins, and its length.
///
/// # Safety
/// `env` is that of the call.
unsafe fn part(env: *mut JNIEnv, buffer: jobject, offset: jint, length: jint) -> Result<(*mut u8, usize), FrazilError> {
    let refused = |reason: String| Err(FrazilError::InvalidArgument { reason });
    // SAFETY: the table of functions is there for as long as the call lasts.
    let (address, capacity) = unsafe {
        let functions = &(**env).v1_4;
        ((functions.GetDirectBufferAddress)(env, buffer), (functions.GetDirectBufferCapacity)(env, buffer))
    };
    if address.is_null() || capacity < 0 {
        return refused("the buffer is not direct".to_owned());
    }
    match (usize::try_from(offset), usize::try_from(length)) {
        (Ok(from), Ok(len)) if jlong::from(offset) + jlong::from(length) <= capacity => {
            // SAFETY: it lies within the buffer.
            Ok((unsafe { address.cast::<u8>().add(from) }, len))
        }
        _ => refused(format!("{length} bytes from {offset} on, in a buffer of {capacity} bytes")),
    }
}

/// The bytes of an array.
///
/// # Safety
/// `env` is that of the call.
unsafe fn copy(env: *mut JNIEnv, array: jbyteArray) -> Vec<u8> {
    // SAFETY: the region is the whole array.
    unsafe {
        let functions = &(**env).v1_2;
        let length = (functions.GetArrayLength)(env, array);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        (functions.GetByteArrayRegion)(env, array, 0, length, bytes.as_mut_ptr().cast());
        bytes
    }
}

fn time(now: jlong) -> Result<u64, FrazilError> {
    u64::try_from(now).map_err(|_| FrazilError::InvalidArgument { reason: format!("the time {now} is negative") })
}

/// Has an exception of the class that uniffi makes for this error thrown when the call returns.
///
/// # Safety
/// `env` is that of the call.
unsafe fn throw(env: *mut JNIEnv, error: &FrazilError) {
    let class = format!("frazil/FrazilException${}\0", error.variant());
    let message: Vec<u16> = error.to_string().encode_utf16().collect();
    // SAFETY: the names end with a zero, and each step is taken only if the one before it has thrown nothing itself.
    unsafe {
        let functions = &(**env).v1_2;
        let class = (functions.FindClass)(env, class.as_ptr().cast());
        if class.is_null() {
            return;
        }
        let constructor = (functions.GetMethodID)(env, class, c"<init>".as_ptr(), c"(Ljava/lang/String;)V".as_ptr());
        if constructor.is_null() {
            return;
        }
        let message = (functions.NewString)(env, message.as_ptr(), message.len() as jint);
        if message.is_null() {
            return;
        }
        let exception = (functions.NewObjectA)(env, class, constructor, [jvalue { l: message }].as_ptr());
        if !exception.is_null() {
            (functions.Throw)(env, exception);
        }
    }
}
