import RetortTensor

/// The dense cache of keys and values with one row per running sample: rows `0..<count` are in use.
///
/// A finished sample's row is filled with the last row, so a decoding step works on views and copies nothing.
final class KeyValueCache {
    /// A number of rows, and for how many tokens each of them has room.
    struct Size: Equatable {
        var rows: Int
        /// Rounded up to whole blocks of 128 tokens.
        var length: Int

        init(rows: Int, length: Int) {
            self.rows = rows
            self.length = (length + 127) / 128 * 128
        }

        /// For how many tokens there is room in all.
        var tokens: Int { rows * length }
    }

    /// By layer, `[rows, capacity, heads, dim]`; layers that read another's have none.
    private var keys: [Int: Tensor] = [:]
    private var values: [Int: Tensor] = [:]
    private(set) var rows = 0
    private(set) var capacity = 0
    /// How often the cache was reallocated, or was about to be.
    private(set) var moves = 0
    /// The layers that keep keys and values, with their heads.
    private let layers: [(layer: Int, heads: HeadShape)]
    private let dtype: DType
    private let device: Device

    /// - Parameter layers: each layer's heads; nil for layers that read another's keys and values.
    init(layers: [HeadShape?], dtype: DType, device: Device) {
        self.layers = layers.enumerated().compactMap { layer, heads in heads.map { (layer, $0) } }
        self.dtype = dtype
        self.device = device
    }

    /// The memory of one token in one row, in bytes.
    var tokenBytes: Int { 2 * layers.reduce(0) { $0 + $1.heads.count * $1.heads.dimension } * dtype.bytes }

    /// The memory that it takes, in bytes.
    var bytes: Int { rows * capacity * tokenBytes }

    /// Makes room for `rows` samples of `length` tokens, keeping the contents.
    func reserve(rows wantedRows: Int, length: Int) throws {
        guard wantedRows > rows || length > capacity else { return }
        let wanted = Size(rows: wantedRows, length: length)
        try resize(to: Size(rows: max(rows, wanted.rows), length: max(capacity, wanted.length)))
    }

    /// Takes the memory of this size, keeping the contents that fit in.
    func resize(to size: Size) throws {
        // If memory runs out, some layers have the new size and others the old one; all have what both have in common.
        (rows, capacity) = (min(rows, size.rows), min(capacity, size.length))
        moves += 1
        func resized(_ old: Tensor?, _ heads: HeadShape) throws -> Tensor {
            let new = try Tensor.zeros(
                [size.rows, size.length, heads.count, heads.dimension], dtype: dtype, device: device)
            if let old, rows > 0 {
                let held = try old.narrowed(0, 0..<rows).narrowed(1, 0..<capacity)
                try new.narrowed(0, 0..<rows).narrowed(1, 0..<capacity).assign(held)
            }
            return new
        }
        for (layer, heads) in layers {
            keys[layer] = try resized(keys[layer], heads)
            values[layer] = try resized(values[layer], heads)
        }
        (rows, capacity) = (size.rows, size.length)
    }

    /// Stores a prompt's keys and values `[1, heads, length, dim]` in a row, from a position on.
    func store(layer: Int, row: Int, from start: Int = 0, key: Tensor, value: Tensor) throws {
        let places = start..<start + key.shape[2]
        let held = try held(layer)
        try held.keys.narrowed(0, row..<row + 1).narrowed(1, places).assign(key.transposed(1, 2))
        try held.values.narrowed(0, row..<row + 1).narrowed(1, places).assign(value.transposed(1, 2))
    }

    private func held(_ layer: Int) throws -> (keys: Tensor, values: Tensor) {
        guard let keys = keys[layer], let values = values[layer] else {
            throw KeyValueCacheError.noKeys(layer: layer)
        }
        return (keys, values)
    }

    /// A copy of the first `length` positions of a row, by layer: `[1, heads, length, dim]`.
    func contents(row: Int, length: Int) throws -> [Int: (key: Tensor, value: Tensor)] {
        func copy(_ cache: Tensor) throws -> Tensor {
            let own = try cache.narrowed(0, row..<row + 1).narrowed(1, 0..<length).transposed(1, 2)
            let copy = try Tensor.zeros(own.shape, dtype: dtype, device: device)
            try copy.assign(own)
            return copy
        }
        return try layers.reduce(into: [:]) { contents, each in
            let held = try held(each.layer)
            contents[each.layer] = (try copy(held.keys), try copy(held.values))
        }
    }

    /// Copies the first `length` positions of one row to another.
    func copy(row source: Int, to target: Int, length: Int) throws {
        guard source != target else { return }
        for (layer, _) in layers {
            let held = try held(layer)
            for cache in [held.keys, held.values] {
                try cache.narrowed(0, target..<target + 1).narrowed(1, 0..<length)
                    .assign(cache.narrowed(0, source..<source + 1).narrowed(1, 0..<length))
            }
        }
    }

    /// Adds one token per row, at `positions`, and returns all keys and values so far: `[rows, heads, length, dim]`.
    func append(
        layer: Int, key: Tensor, value: Tensor, step: DecodingStep
    ) throws -> (keys: Tensor, values: Tensor) {
        // One position per row: [rows, heads, 1, dim] → [rows, heads, dim].
        let shape = [step.rows, key.shape[1], key.shape[3]]
        let held = try held(layer)
        try held.keys.put(rows: step.rowIndices, columns: step.positions, key.reshaped(shape))
        try held.values.put(rows: step.rowIndices, columns: step.positions, value.reshaped(shape))
        return try read(layer: layer, step: step)
    }

    /// All keys and values so far, including those that the step has added: `[rows, heads, length, dim]`.
    func read(layer: Int, step: DecodingStep) throws -> (keys: Tensor, values: Tensor) {
        let held = try held(layer)
        func used(_ cache: Tensor) throws -> Tensor {
            try cache.narrowed(0, step.firstRow..<step.firstRow + step.rows).narrowed(1, 0..<step.longest)
                .transposed(1, 2)
        }
        return (try used(held.keys), try used(held.values))
    }
}

/// What the layers of a decoding step share: each row's position, and the keys that it attends to.
struct DecodingStep: AttentionContext {
    let cache: KeyValueCache
    /// The cache's row of the first sample that decodes; the others follow it.
    let firstRow: Int
    /// The number of samples that decode.
    let rows: Int
    /// The number of keys that are attended to.
    let longest: Int
    /// `[rows]`.
    let rowIndices: Tensor
    /// `[rows]`: the places of the new tokens.
    let positions: Tensor
    /// By window, `[rows, 1, 1, longest]`: 0 for visible keys, −∞ for keys beyond the row's length or outside the
    /// window.
    private let masks: [Int?: Tensor]

    /// - Parameters:
    ///   - positions: int64 `[rows]`, the place of each row's new token.
    ///   - longest: how many keys of each row are attended to: those of the longest sample, including its new one, or
    ///     more.
    ///   - firstRow: the cache's row of the first sample.
    init(
        cache: KeyValueCache, positions: Tensor, longest: Int, firstRow: Int, windows: Set<Int?>, dtype: DType,
        device: Device
    ) throws {
        self.cache = cache
        self.firstRow = firstRow
        self.positions = positions
        self.longest = longest
        rows = positions.shape[0]
        rowIndices = try Tensor.range(firstRow..<firstRow + rows, device: device)
        let keys = try Tensor.range(0..<longest, device: device).reshaped([1, 1, 1, longest])
        let queries = try positions.reshaped([rows, 1, 1, 1])
        let zero = try Tensor.zeros([1], dtype: dtype, device: device)
        masks = try Dictionary(
            windows.map { ($0, try AttentionForm.mask(keys, upTo: queries, window: $0, like: zero)) },
            uniquingKeysWith: { first, _ in first })
    }

    func carry(layer: Int, _ inputs: [Tensor], through step: CarryingStep) throws -> Tensor {
        throw KeyValueCacheError.carriesState(layer: layer)
    }

    func attend(layer: Int, query: Tensor, key: Tensor, value: Tensor, form: AttentionForm) throws -> Tensor {
        try attend(query, cache.append(layer: layer, key: key, value: value, step: self), form)
    }

    func attend(
        reading source: Int, query: Tensor, key: Tensor, value: Tensor, form: AttentionForm
    ) throws -> Tensor {
        try attend(query, cache.read(layer: source, step: self), form)
    }

    private func attend(
        _ query: Tensor, _ cached: (keys: Tensor, values: Tensor), _ form: AttentionForm
    ) throws -> Tensor {
        let (heads, keyHeads, dimension) = (query.shape[1], cached.keys.shape[1], query.shape[3])
        // The query heads of a group become rows of one product with the shared keys, so nothing is repeated.
        let grouped = try query.reshaped([rows, keyHeads, heads / keyHeads, dimension])
        guard let mask = masks[form.window] else { throw KeyValueCacheError.noMask(window: form.window) }
        return try form.attend(grouped, cached.keys, cached.values, mask: mask)
            .reshaped([rows, heads, 1, dimension])
    }
}

/// A programming error: a layer asks for something that the step does not support.
enum KeyValueCacheError: Error {
    case noMask(window: Int?)
    /// The layer keeps no keys and values.
    case noKeys(layer: Int)
    /// Such networks need the paged cache.
    case carriesState(layer: Int)
}
