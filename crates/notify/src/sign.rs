//! Signatures: HMAC-SHA256 (<https://www.rfc-editor.org/rfc/rfc2104>) over time and body, so that
//! neither can be changed and an old message cannot be played again unnoticed.

use ring::hmac;

/// The value of `X-Fleetwright-Signature`.
///
/// ```
/// let signature = fleetwright_notify::signature("key", "1764072000", b"{}");
/// assert!(signature.starts_with("sha256="));
/// ```
pub fn signature(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.as_bytes());
    context.update(b".");
    context.update(body);
    let mut text = String::from("sha256=");
    for byte in context.sign().as_ref() {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for half in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(half)]));
        }
    }
    text
}
