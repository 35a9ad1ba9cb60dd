//! The projectors at their own edge: events in a real log on a real PostgreSQL, rows out.

#[cfg(test)]
mod blockade;
#[cfg(test)]
mod comparing;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod lost_log;
#[cfg(test)]
mod moody;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod rebuilding;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod replaying;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod running;
#[cfg(test)]
mod sums;
#[cfg(test)]
mod timescale;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod world;
#[cfg(test)]
mod written_rows;
