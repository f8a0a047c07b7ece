//! Keys: sealing, signing, deriving, randomness.
