/// The heads of keys and values in a layer.
public struct HeadShape: Codable, Sendable, Hashable {
    /// Key and value heads.
    public var count: Int
    /// The width of one head.
    public var dimension: Int

    /// - Parameters:
    ///   - count: the number of key and value heads.
    ///   - dimension: the width of one head.
    public init(count: Int, dimension: Int) {
        self.count = count
        self.dimension = dimension
    }

    /// Whether the heads can serve this many query heads.
    func fit(_ queries: Int) -> Bool {
        count > 0 && dimension > 0 && dimension.isMultiple(of: 2) && queries.isMultiple(of: count)
    }
}

/// The shape of an embedding of which each layer takes its own part.
public struct LayerEmbeddingShape: Codable, Sendable, Hashable {
    /// The rows of the table.
    public var vocabulary: Int
    /// The numbers per token and layer.
    public var width: Int
}

/// What differs from layer to layer.
extension DecoderConfiguration {
    /// The heads of layers with a window, and of all layers if they do not differ.
    var heads: HeadShape { HeadShape(count: keyValueHeadCount, dimension: headDimension) }

    /// The heads of a layer.
    func heads(ofLayer layer: Int) -> HeadShape { windows[layer] == nil ? globalHeads ?? heads : heads }

    /// The heads whose keys and values a layer keeps for later tokens; nil if it keeps none.
    func keptHeads(ofLayer layer: Int) -> HeadShape? {
        carrying[layer] == nil && keySources[layer] == nil ? heads(ofLayer: layer) : nil
    }

    /// The width inside a layer's feed-forward part.
    func intermediateSize(ofLayer layer: Int) -> Int {
        widensReaders && keySources[layer] != nil ? 2 * intermediateSize : intermediateSize
    }

    /// The projections at the beginning of a layer's attention.
    func attentionNames(ofLayer layer: Int) -> [String] {
        if keySources[layer] != nil { return Array(names.attention.prefix(1)) }
        let sharesKeys = globalValuesAreKeys && windows[layer] == nil
        return sharesKeys ? Array(names.attention.prefix(2)) : names.attention
    }
}
