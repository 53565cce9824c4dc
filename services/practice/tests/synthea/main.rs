//! Importing Synthea's output: small files made here, and all of them where `ARTERIA_SYNTHEA` says
//! where they are.

mod bundles;
mod folder;
mod hostile;
mod made;
mod settings;
mod sheets;
