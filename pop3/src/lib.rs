//! The language of POP3.
