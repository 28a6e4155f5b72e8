//! An authenticating reverse proxy for the Adobe Experience Platform Real-Time Customer Profile API.

pub mod aep;
