//! Contracts with other systems, and the code generated from them. No logic lives here.
