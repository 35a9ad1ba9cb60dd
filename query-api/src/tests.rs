//! The API at its edge: a router on a real PostgreSQL, with read models made as the contract says.

mod answer;
mod as_of;
mod changes;
mod checkpoints;
mod graphql;
mod hostile_queries;
mod introspection;
mod limits;
mod mutations;
mod nodes;
mod paging;
mod parts;
mod rates;
mod reach;
mod reports;
mod rest;
mod restored;
mod retired_pictures;
mod schema;
mod slow_clients;
mod sums;
mod tables;
mod websocket;
mod world;
