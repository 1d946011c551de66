//! The large part of a log: whole chunks of lines, compressed, and an index that finds them by line, time and text without
//! reading them. Knows nothing of what a line says.
//!
//! ```text
//! <attempt>.chunks   zstd frames, one after the other
//! <attempt>.index    an entry of fixed size for each
//! ```

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Lines are compressed when they have come to so many bytes: what a reader holds at a time.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// Bits of what a chunk's text is made of. A MiB of log has some ten thousand different trigrams: with four bits for each
/// one in two hundred of those that are not there seems to be, and of a whole word hardly any.
const SIGNATURE_BYTES: usize = 16 << 10;
const BITS_PER_TRIGRAM: u32 = 4;
const NUMBERS: usize = 5;
const ENTRY_BYTES: usize = NUMBERS * 8 + SIGNATURE_BYTES;
/// Speed counts: the task waits meanwhile.
const ZSTD_LEVEL: i32 = 1;

/// Where a chunk is and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) raw_bytes: u64,
    /// Lines before it.
    pub(crate) first_line: u64,
    pub(crate) lines: u64,
}

/// Bits that the text of a chunk sets.
struct Signature(Box<[u8]>);

impl Signature {
    fn of(text: &[u8]) -> Self {
        let mut bits = vec![0; SIGNATURE_BYTES].into_boxed_slice();
        for trigram in text.windows(3) {
            for bit in places(trigram) {
                bits[bit / 8] |= 1 << (bit % 8);
            }
        }
        Self(bits)
    }

    /// False when the text is surely not in the chunk.
    fn may_hold(&self, text: &[u8]) -> bool {
        text.windows(3).flat_map(places).all(|bit| self.0[bit / 8] & (1 << (bit % 8)) != 0)
    }
}

fn places(trigram: &[u8]) -> impl Iterator<Item = usize> {
    // One multiplication mixes three bytes well enough; the two halves are combined to as many hashes as wanted
    // (Kirsch and Mitzenmacher, "Less hashing, same performance", 2006).
    let number = u64::from(trigram[0]) | u64::from(trigram[1]) << 8 | u64::from(trigram[2]) << 16;
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (one, two) = (mixed >> 32, (mixed & 0xffff_ffff) | 1);
    (0..u64::from(BITS_PER_TRIGRAM))
        .map(move |it| (one.wrapping_add(it.wrapping_mul(two)) % (SIGNATURE_BYTES as u64 * 8)) as usize)
}

/// Adds lines, which end with a line break each, as one chunk: the data first, then the entry that makes it count.
pub(crate) fn append(path: &Path, text: &[u8], first_line: u64) -> io::Result<()> {
    let mut data = File::options().create(true).append(true).open(path.with_extension("chunks"))?;
    let offset = data.seek(SeekFrom::End(0))?;
    let packed = zstd::bulk::compress(text, ZSTD_LEVEL)?;
    data.write_all(&packed)?;
    let lines = text.iter().filter(|it| **it == b'\n').count() as u64;
    let mut entry = Vec::with_capacity(ENTRY_BYTES);
    for it in [offset, packed.len() as u64, text.len() as u64, first_line, lines] {
        entry.extend_from_slice(&it.to_le_bytes());
    }
    entry.extend_from_slice(&Signature::of(text).0);
    let mut index = File::options().create(true).append(true).open(path.with_extension("index"))?;
    // A crash in between left half an entry: what comes after it stands where it should.
    let whole = index.metadata()?.len() / ENTRY_BYTES as u64 * ENTRY_BYTES as u64;
    index.set_len(whole)?;
    index.write_all(&entry)
}

/// The chunks of a log. Holds the index open, not in memory.
pub(crate) struct Chunks {
    data: File,
    index: File,
    count: u64,
}

impl Chunks {
    /// `None` while the log has no chunk.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let index = match File::open(path.with_extension("index")) {
            Ok(it) => it,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let count = index.metadata()?.len() / ENTRY_BYTES as u64;
        if count == 0 {
            return Ok(None);
        }
        Ok(Some(Self { data: File::open(path.with_extension("chunks"))?, index, count }))
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn chunk(&mut self, number: u64) -> io::Result<Chunk> {
        let mut bytes = [0; NUMBERS * 8];
        self.index.seek(SeekFrom::Start(number * ENTRY_BYTES as u64))?;
        self.index.read_exact(&mut bytes)?;
        let mut numbers = bytes.chunks_exact(8).map(|it| u64::from_le_bytes(it.try_into().expect("8 bytes")));
        let mut next = || numbers.next().expect("five numbers");
        Ok(Chunk { offset: next(), bytes: next(), raw_bytes: next(), first_line: next(), lines: next() })
    }

    /// Lines in all chunks.
    pub(crate) fn lines(&mut self) -> io::Result<u64> {
        let last = self.chunk(self.count - 1)?;
        Ok(last.first_line + last.lines)
    }

    /// Bytes of the lines in all chunks.
    pub(crate) fn raw_bytes(&mut self) -> io::Result<u64> {
        // Chunks are cut at one size, so the first and last tell nearly all; an exact sum reads every entry.
        (0..self.count).map(|it| self.chunk(it).map(|it| it.raw_bytes)).sum()
    }

    /// The number of the chunk that holds a line, by halving.
    pub(crate) fn holding(&mut self, line: u64) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.count);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.chunk(middle)?.first_line <= line {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// False when a text of three bytes or more is surely not in the chunk.
    pub(crate) fn may_hold(&mut self, number: u64, text: &[u8]) -> io::Result<bool> {
        let mut signature = Signature(vec![0; SIGNATURE_BYTES].into_boxed_slice());
        self.index.seek(SeekFrom::Start(number * ENTRY_BYTES as u64 + NUMBERS as u64 * 8))?;
        self.index.read_exact(&mut signature.0)?;
        Ok(signature.may_hold(text))
    }

    /// The lines of a chunk.
    pub(crate) fn read(&mut self, number: u64) -> io::Result<Vec<u8>> {
        let chunk = self.chunk(number)?;
        let mut packed = vec![0; usize::try_from(chunk.bytes).unwrap_or(usize::MAX)];
        self.data.seek(SeekFrom::Start(chunk.offset))?;
        self.data.read_exact(&mut packed)?;
        zstd::bulk::decompress(&packed, usize::try_from(chunk.raw_bytes).unwrap_or(usize::MAX))
    }
}
