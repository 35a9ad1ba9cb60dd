//! The connections of one process, and who may use which when.
//!
//! Invariant: a connection is handed out only if nothing is owed on it, no other of its time was lost, and
//! the database answered on it a moment ago; one that does not come back settled is closed. So a statement
//! of a busy pool costs its own round trip and no other. Absent: waiting without end, for a connection as
//! for an answer; sqlx's own pool, which waits for what is owed on a connection, without a limit, before
//! anybody else has its place.

mod metrics;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::postgres::{
    PgConnectOptions, PgConnection, PgListener, PgPoolOptions, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{Acquire as _, Connection as _, Describe, Execute, Executor, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::connection::{DatabaseConnection, Doubt, StatementStep, stream_steps};
use super::room::DiskRoom;
use super::transient::is_starting;
use crate::backoff::Backoff;

/// A connection on which the database was silent for longer is tried before it is handed out: one round
/// trip, which a busy pool does not pay for every statement.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// A connection that nobody used for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// How often idle connections are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How long connections in use may take to come back once the pool is closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// Between attempts to connect to a server that is starting, or has no place left.
const CONNECT_AGAIN: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1), 0.5);

/// What one process may use of a database.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolLimits {
    /// Most connections at a time.
    pub(super) connections: u32,
    /// How long to wait for one, and for the network to make it.
    pub(super) acquire: Duration,
    /// How long a statement may go unanswered.
    pub(super) statement: Duration,
}

/// Connections to the database. Clones share them. `&` of it executes statements, each on a connection of
/// its own and within its limit.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: PgConnectOptions,
    limits: PoolLimits,
    /// A permit for each connection that may be in use.
    places: Arc<Semaphore>,
    /// The one that was used last, and so answered last, is the last.
    idle: Mutex<Vec<DatabaseConnection>>,
    doubt: Doubt,
    disk_room: DiskRoom,
    /// How many statements all its connections were given.
    statements: Arc<AtomicU64>,
}

/// A connection of the pool, for as long as it is held.
#[derive(Debug)]
pub struct PooledConnection {
    connection: DatabaseConnection,
    shared: Arc<Shared>,
    /// Given back after the connection.
    _place: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool that connects when it has to. Call it inside a tokio runtime.
    pub(super) fn new(options: PgConnectOptions, limits: PoolLimits) -> Self {
        let places = usize::try_from(limits.connections).unwrap_or(Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            options,
            limits,
            places: Arc::new(Semaphore::new(places)),
            idle: Mutex::default(),
            doubt: Doubt::new(),
            disk_room: DiskRoom::default(),
            statements: Arc::default(),
        });
        let swept = Arc::downgrade(&shared);
        tokio::spawn(async move {
            while let Some(shared) = swept.upgrade() {
                shared.close_unused();
                drop(shared);
                sleep(SWEEP_INTERVAL).await;
            }
        });
        Self(shared)
    }

    /// A connection, once there is one to be had.
    ///
    /// # Errors
    /// When there is none within the configured time, or the database cannot be reached.
    pub async fn acquire(&self) -> Result<PooledConnection, sqlx::Error> {
        let shared = Arc::clone(&self.0);
        let acquired = timeout(shared.limits.acquire, async {
            let place = Arc::clone(&shared.places).acquire_owned().await;
            let _place = place.map_err(|_| sqlx::Error::PoolClosed)?;
            let connection = match shared.take_idle().await {
                Some(connection) => connection,
                None => shared.connect().await?,
            };
            Ok(PooledConnection { connection, shared: Arc::clone(&shared), _place })
        });
        acquired.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// A connection beside the pool, for somebody who holds it for long.
    ///
    /// # Errors
    /// When the database cannot be reached within the configured time.
    pub async fn open_connection(&self) -> Result<DatabaseConnection, sqlx::Error> {
        let connected = timeout(self.0.limits.acquire, self.0.connect()).await;
        connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// A connection of sqlx's own, on which nothing has a limit, for migrations, which watch over it.
    pub(super) async fn open_unlimited(&self) -> Result<PgConnection, sqlx::Error> {
        let connected = PgConnection::connect_with(&self.0.options);
        let connected = timeout(self.0.limits.acquire, connected).await;
        connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Listens to a channel, on a connection beside the pool: by `listener`, if it has listened before. Whoever
    /// listens has to look now and then whether the database still answers: a listener that hears nothing does
    /// not know.
    ///
    /// The connection on which it listened before is closed at once. A listener that is dropped with it waits
    /// for an answer on it, without a limit.
    pub(super) async fn listen<'l>(
        &self,
        channel: &str,
        listener: &'l mut Option<PgListener>,
    ) -> Result<&'l mut PgListener, sqlx::Error> {
        if self.is_closed() {
            return Err(sqlx::Error::PoolClosed);
        }
        let listening = timeout(self.0.limits.acquire, async move {
            if let Some(before) = listener {
                let mut connection = PgConnection::connect_with(&self.0.options).await?;
                connection.execute(format!("LISTEN \"{channel}\"").as_str()).await?;
                *before.acquire().await? = connection;
                return Ok(before);
            }
            let one = PgPoolOptions::new().max_connections(1);
            let one = one.acquire_timeout(self.0.limits.acquire);
            let one = one.connect_lazy_with(self.0.options.clone());
            // In its place before it listens: should that not be answered, either, it is not dropped.
            let first = listener.insert(PgListener::connect_with(&one).await?);
            // Whoever listens makes the connection again, and looks at what was missed.
            first.eager_reconnect(false);
            first.listen(channel).await?;
            Ok(first)
        });
        listening.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// What the database has said of its disk, on any connection.
    pub(super) fn disk_room(&self) -> &DiskRoom {
        &self.0.disk_room
    }

    /// Where and how it connects.
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.0.options
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.places.is_closed()
    }

    /// Gives out no more connections, closes those that nobody uses, and waits a while for those in use.
    /// What comes before the wait is done when this returns.
    pub fn close(&self) -> impl Future<Output = ()> + use<> {
        self.0.places.close();
        self.0.idle().clear();
        let shared = Arc::clone(&self.0);
        async move {
            let all = usize::try_from(shared.limits.connections).unwrap_or(usize::MAX);
            let all_back = async {
                while shared.places.available_permits() < all {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            let _ = timeout(CLOSE_LIMIT, all_back).await;
        }
    }
}

impl Shared {
    /// The connection that answered last, if the database answers on it still. When it does not, those
    /// beside it are in doubt, and none of them is waited for.
    async fn take_idle(&self) -> Option<DatabaseConnection> {
        loop {
            let mut connection = self.idle().pop()?;
            if connection.is_in_doubt() {
                continue;
            }
            if connection.silent_for() < TRUSTED_FOR || connection.ping_at_once().await.is_ok() {
                return Some(connection);
            }
        }
    }

    /// Connects, and waits for a server that is starting: the caller has the limit.
    async fn connect(&self) -> Result<DatabaseConnection, sqlx::Error> {
        let mut attempt = 0;
        loop {
            let limit = self.limits.statement;
            let statements = Arc::clone(&self.statements);
            let signs = (self.doubt.renewed(), self.disk_room.clone(), statements);
            match DatabaseConnection::open(&self.options, limit, signs).await {
                Err(error) if is_starting(&error) => CONNECT_AGAIN.wait(attempt).await,
                connected => return connected,
            }
            attempt += 1;
        }
    }

    fn close_unused(&self) {
        self.idle().retain(|idle| !idle.is_in_doubt() && idle.silent_for() < IDLE_MAX);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<DatabaseConnection>> {
        // Every change under this lock is whole.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if self.connection.is_settled()
            && !self.connection.is_in_doubt()
            && !self.shared.places.is_closed()
        {
            let mut connection = self.connection.take();
            connection.restore_limit(self.shared.limits.statement);
            self.shared.idle().push(connection);
        }
    }
}

impl Deref for PooledConnection {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        &self.connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut DatabaseConnection {
        &mut self.connection
    }
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<StatementStep, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        stream_steps(async move { self.acquire().await?.fetch_steps(query).await })
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        async move { self.acquire().await?.fetch_row(query).await }.boxed()
    }

    fn prepare_with<'e, 'q: 'e>(
        self,
        sql: &'q str,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement<'q>, sqlx::Error>>
    where
        'p: 'e,
    {
        async move { self.acquire().await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e, 'q: 'e>(
        self,
        sql: &'q str,
    ) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'p: 'e,
    {
        async move { self.acquire().await?.describe(sql).await }.boxed()
    }
}
