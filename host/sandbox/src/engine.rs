//! How wasmtime is set up: one engine for attempts that are stopped by epochs, another, made when first needed,
//! for those that count fuel.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::error::SandboxError;

/// Native stack that wasm frames may use. Attempt threads have 2 MiB (std's default); the rest is the host's.
const WASM_STACK_BYTES: usize = 1 << 20;
/// Instances of core modules and memories that one component may need: the task itself, wit-component's two shims,
/// and room for a language runtime made of several modules.
const CORE_INSTANCES_PER_COMPONENT: u32 = 16;
const MEMORIES_PER_COMPONENT: u32 = 4;
const TABLES_PER_COMPONENT: u32 = 8;
/// Above the image of a CPython with its libraries, so that copy-on-write initialisation never degrades.
const DENSE_IMAGE_BYTES: u64 = 256 << 20;
/// Frames are named in errors; deep recursion is told from other traps by a full backtrace.
pub(crate) const BACKTRACE_FRAMES_MAX: usize = 48;

/// Whether instructions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metering {
    Epochs,
    Fuel,
}

/// What a pool of instances is sized by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolSize {
    pub(crate) instances_max: u32,
    pub(crate) keep_resident_bytes: usize,
}

/// An engine with pooled instances, or, where the address space for a pool cannot be had, one without.
pub(crate) fn engine(metering: Metering, size: PoolSize) -> Result<Engine, SandboxError> {
    let mut config = config(metering);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(size)));
    Engine::new(&config).or_else(|_no_address_space| {
        let mut config = self::config(metering);
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Engine::new(&config).map_err(|error| SandboxError::Engine { reason: format!("{error:#}") })
    })
}

fn config(metering: Metering) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.consume_fuel(metering == Metering::Fuel);
    config.max_wasm_stack(WASM_STACK_BYTES);
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE_FRAMES_MAX));
    // The same bits on every machine.
    config.cranelift_nan_canonicalization(true);
    config.wasm_relaxed_simd(true);
    config.relaxed_simd_deterministic(true);
    config.memory_guaranteed_dense_image_size(DENSE_IMAGE_BYTES);
    config.memory_init_cow(true);
    config
}

fn pool(size: PoolSize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    let instances = size.instances_max.max(1);
    pool.total_component_instances(instances);
    pool.total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT));
    pool.total_memories(instances.saturating_mul(2));
    pool.total_tables(instances.saturating_mul(TABLES_PER_COMPONENT));
    pool.max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT);
    pool.max_memories_per_component(MEMORIES_PER_COMPONENT);
    pool.max_tables_per_component(TABLES_PER_COMPONENT);
    pool.max_component_instance_size(16 << 20);
    pool.max_core_instance_size(16 << 20);
    pool.table_elements(1 << 20);
    // Page faults cost more than clearing what was used, so slots keep their pages.
    pool.linear_memory_keep_resident(size.keep_resident_bytes);
    pool.table_keep_resident(1 << 20);
    pool.pagemap_scan(Enabled::Auto);
    pool.max_unused_warm_slots(instances);
    pool
}
