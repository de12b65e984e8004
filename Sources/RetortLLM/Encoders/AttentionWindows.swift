import RetortTensor

/// Attention to a token's neighbours on both sides (arXiv 2004.05150, section 3.1).
///
/// Queries are processed in blocks, each with the keys that it reaches, so that time and memory grow linearly with the
/// text. The masks of one pass are shared by its layers.
final class AttentionWindows {
    /// Queries of one block; blocks of windows would be too small for efficient products.
    private static let block = 256

    private struct Place: Hashable {
        let queries, keys, offset, reach: Int
    }

    private var masks: [Place: Tensor] = [:]

    /// Attention in texts of equal length, `[texts, heads, length, dim]` each → the query's shape.
    /// - Parameter reach: how many tokens a token sees on either side; nil sees the whole text.
    func attend(_ query: Tensor, _ key: Tensor, _ value: Tensor, reach: Int?) throws -> Tensor {
        let length = query.shape[2]
        guard let reach, reach < length - 1 else { return try Tensor.attention(query, key, value, mask: .none) }
        let parts = try stride(from: 0, to: length, by: Self.block).map { start in
            let queries = start..<min(start + Self.block, length)
            let keys = max(0, start - reach)..<min(length, queries.upperBound + reach)
            let place = Place(
                queries: queries.count, keys: keys.count, offset: start - keys.lowerBound, reach: reach)
            return try Tensor.attention(
                query.narrowed(2, queries), key.narrowed(2, keys), value.narrowed(2, keys),
                mask: .additive(mask(place, like: query)))
        }
        return parts.count == 1 ? parts[0] : try Tensor.concatenated(parts, axis: 2)
    }

    /// `[1, 1, queries, keys]`: 0 for keys within reach and −∞ elsewhere.
    private func mask(_ place: Place, like query: Tensor) throws -> Tensor {
        if let known = masks[place] { return known }
        let (dtype, device) = (query.dtype, query.device)
        let queries = try Tensor.range(place.offset..<place.offset + place.queries, device: device)
            .reshaped([place.queries, 1])
        let keys = try Tensor.range(0..<place.keys, device: device).reshaped([1, place.keys])
        let (zero, hidden) = (
            try Tensor.zeros([1], dtype: dtype, device: device),
            try Tensor.full([1], -.infinity, dtype: dtype, device: device)
        )
        let reach = Double(place.reach)
        let reached = try Tensor.choose(keys.lessOrEqual(to: queries + reach), zero, hidden)
        let mask = try Tensor.choose(queries.lessOrEqual(to: keys + reach), reached, hidden)
            .reshaped([1, 1, place.queries, place.keys])
        masks[place] = mask
        return mask
    }
}
