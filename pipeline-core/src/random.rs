//! Nonces from the system's random source.

/// Returns 128 random bits as 32 hexadecimal digits.
///
/// # Panics
/// If the operating system has no random source, without which no lock and no fence is safe.
#[must_use]
pub fn nonce() -> String {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("every supported system has a random source");
    hex::encode(bytes)
}
