//! Opens the database: the library's version, the lock against a second process, the schema, the connections' settings.
//!
//! Every connection writes ahead (WAL) with `synchronous = FULL`, so a commit that returned has been synced. What is
//! damaged, foreign or newer than this program is refused with an error that says so, and left untouched.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::OpenError;

/// Earlier ones may lose the write-ahead log when it is reset.
const LIBRARY_NEEDED: (i32, &str) = (3_051_003, "3.51.3");

/// "RELA": marks a SQLite file as ours.
const APPLICATION_ID: i32 = 0x5245_4c41;

/// In order; the schema's version is the number of those that were applied.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_log_and_state.sql"),
    include_str!("../../migrations/sqlite/0002_restrictions.sql"),
    include_str!("../../migrations/sqlite/0003_rooms_and_people.sql"),
    include_str!("../../migrations/sqlite/0004_inbox.sql"),
    include_str!("../../migrations/sqlite/0005_outside.sql"),
    include_str!("../../migrations/sqlite/0006_items.sql"),
    include_str!("../../migrations/sqlite/0007_store.sql"),
    include_str!("../../migrations/sqlite/0008_restrictions_end.sql"),
    include_str!("../../migrations/sqlite/0009_notices.sql"),
    include_str!("../../migrations/sqlite/0010_of_one_user.sql"),
];

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS_KEPT: usize = 192;

/// Held as long as the store is open; the system lets it go when the process dies.
pub(super) struct Lock(#[expect(dead_code, reason = "held, never read")] File);

/// Checks the library, takes the lock, and opens the connection that writes, with the newest schema.
pub(super) fn writer(path: &Path) -> Result<(Lock, Connection), OpenError> {
    if rusqlite::version_number() < LIBRARY_NEEDED.0 {
        return Err(OpenError::LibraryTooOld {
            found: rusqlite::version(),
            needed: LIBRARY_NEEDED.1,
        });
    }
    let lock = lock(path)?;
    let sqlite = |error: rusqlite::Error| OpenError::new(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    check_ours(&connection, path)?;
    settle(&connection).map_err(sqlite)?;
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        .map_err(sqlite)?;
    migrate(&mut connection, path)?;
    sync_folder(path)?;
    Ok((lock, connection))
}

/// Opens a connection that only reads, beside the writer.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        settle(&connection)?;
        Ok(connection)
    };
    open().map_err(|error| OpenError::new(path, &error))
}

/// Opens a second connection that may write, for checkpoints.
pub(super) fn beside(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        settle(&connection)?;
        connection.execute_batch("PRAGMA synchronous = FULL;")?;
        Ok(connection)
    };
    open().map_err(|error| OpenError::new(path, &error))
}

/// Who the database is.
pub(super) fn id(connection: &Connection, path: &Path) -> Result<Arc<str>, OpenError> {
    let id = connection.query_row("SELECT id FROM store", [], |row| row.get::<_, String>(0));
    id.map(Into::into)
        .map_err(|error| OpenError::new(path, &error))
}

/// Bytes of pages that a connection keeps in memory.
pub(super) fn set_page_cache(connection: &Connection, bytes: usize) -> rusqlite::Result<()> {
    let kibibytes = (bytes / 1024).max(64);
    connection.execute_batch(&format!("PRAGMA cache_size = -{kibibytes};"))
}

fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.execute_batch("PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;")
}

fn lock(path: &Path) -> Result<Lock, OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = folder(path) {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(with_suffix(path, ".lock"))
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// A database without tables is new; any other must carry our mark and no schema newer than we know.
fn check_ours(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let number = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|error| OpenError::new(path, &error))
    };
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if tables > 0 && number("PRAGMA application_id")? != i64::from(APPLICATION_ID) {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
        });
    }
    let (found, known) = (number("PRAGMA user_version")?, MIGRATIONS.len() as i64);
    if found > known {
        return Err(OpenError::NewerSchema {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let mut run = || {
        let transaction = connection.transaction()?;
        let done: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        for migration in MIGRATIONS.iter().skip(done as usize) {
            transaction.execute_batch(migration)?;
        }
        if done < MIGRATIONS.len() as i64 {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
        }
        transaction.commit()
    };
    run().map_err(|error| OpenError::new(path, &error))
}

/// Gives a new database the newest schema.
#[cfg(test)]
pub(super) fn migrate_new(connection: &Connection) {
    for migration in MIGRATIONS {
        connection.execute_batch(migration).expect("a migration");
    }
}

/// A new file is only safe once the folder that names it is on the disk too.
fn sync_folder(path: &Path) -> Result<(), OpenError> {
    let folder = folder(path).unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| OpenError::Io {
            path: path.to_owned(),
            source,
        })
}

fn folder(path: &Path) -> Option<&Path> {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
