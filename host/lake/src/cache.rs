//! Decoded tables in memory, the least recently used dropped first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use tidemill_plan::Digest;

use crate::Options;

/// A table as its blocks.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) blocks: Vec<RecordBatch>,
    pub(crate) bytes: u64,
}

/// How the cache is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheUse {
    pub tables: usize,
    pub bytes: u64,
    pub hits: u64,
    pub misses: u64,
}

/// Keyed by snapshot digest, so that equal tables are kept once and a replaced table is never served.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: u64,
    table_bytes_max: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    tables: HashMap<Digest, Entry>,
    /// Tick of last use to table: the first is the least recently used.
    by_use: BTreeMap<u64, Digest>,
    tick: u64,
    /// Invariant: the sum over `tables`, at most `bytes_max`.
    bytes: u64,
    hits: u64,
    misses: u64,
}

#[derive(Debug)]
struct Entry {
    table: Arc<Decoded>,
    used: u64,
}

impl Cache {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            bytes_max: options.cache_bytes_max,
            table_bytes_max: options.cached_table_bytes_max.min(options.cache_bytes_max / 4),
            inner: Mutex::default(),
        }
    }

    /// Larger tables are not worth collecting.
    pub(crate) fn table_bytes_max(&self) -> u64 {
        self.table_bytes_max
    }

    pub(crate) fn get(&self, snapshot: &Digest) -> Option<Arc<Decoded>> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(entry) = inner.tables.get_mut(snapshot) else {
            inner.misses += 1;
            return None;
        };
        inner.hits += 1;
        inner.tick += 1;
        inner.by_use.remove(&entry.used);
        inner.by_use.insert(inner.tick, *snapshot);
        entry.used = inner.tick;
        Some(entry.table.clone())
    }

    pub(crate) fn put(&self, snapshot: Digest, table: Arc<Decoded>) {
        if table.bytes > self.table_bytes_max {
            return;
        }
        let mut inner = self.lock();
        inner.remove(&snapshot);
        inner.tick += 1;
        inner.bytes += table.bytes;
        let used = inner.tick;
        inner.by_use.insert(used, snapshot);
        inner.tables.insert(snapshot, Entry { table, used });
        while inner.bytes > self.bytes_max {
            let Some(oldest) = inner.by_use.values().next().copied() else { break };
            inner.remove(&oldest);
        }
    }

    pub(crate) fn current_use(&self) -> CacheUse {
        let inner = self.lock();
        CacheUse { tables: inner.tables.len(), bytes: inner.bytes, hits: inner.hits, misses: inner.misses }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held, and a cache that did lose count would only cost memory.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, snapshot: &Digest) {
        if let Some(entry) = self.tables.remove(snapshot) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.table.bytes;
        }
    }
}

/// A block that keeps no more memory alive than it needs: a slice of something much larger is copied.
pub(crate) fn compact(block: RecordBatch) -> RecordBatch {
    let needed = crate::blocks::bytes_of(&block, 0, block.num_rows());
    if block.get_array_memory_size() as u64 <= 2 * needed + (64 << 10) {
        return block;
    }
    let rows = arrow::array::UInt64Array::from_iter_values(0..block.num_rows() as u64);
    arrow::compute::take_record_batch(&block, &rows).unwrap_or(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(bytes_max: u64) -> Cache {
        Cache::new(&Options {
            cache_bytes_max: bytes_max,
            cached_table_bytes_max: u64::MAX,
            ..Options::default()
        })
    }

    fn table(bytes: u64) -> Arc<Decoded> {
        Arc::new(Decoded { blocks: Vec::new(), bytes })
    }

    #[test]
    fn the_least_recently_used_table_goes_first() {
        let cache = cache(40);
        let names = ["a", "b", "c", "d", "e"].map(|it| Digest::of(it.as_bytes()));
        for name in &names[..4] {
            cache.put(*name, table(10));
        }
        assert!(cache.get(&names[0]).is_some());
        cache.put(names[4], table(10));
        assert!(cache.get(&names[1]).is_none());
        assert!(cache.get(&names[0]).is_some());
        assert_eq!(cache.current_use().bytes, 40);
    }

    #[test]
    fn a_table_of_more_than_a_quarter_is_not_kept() {
        let cache = cache(40);
        cache.put(Digest::of(b"a"), table(11));
        assert_eq!(cache.current_use(), CacheUse::default());
    }

    #[test]
    fn putting_a_table_twice_counts_it_once() {
        let cache = cache(40);
        cache.put(Digest::of(b"a"), table(10));
        cache.put(Digest::of(b"a"), table(10));
        assert_eq!((cache.current_use().tables, cache.current_use().bytes), (1, 10));
    }
}
