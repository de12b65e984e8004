import RetortTensor

/// ggml's names of tensors, and the order in which it holds them, turned back: the other direction of
/// `GGUFArchitecture.tensor`.
extension GGUFArchitecture {
    /// A tensor's name in Hugging Face's checkpoints; nil for one that belongs to no part of the network.
    func key(of name: String) -> String? {
        if let outer = Self.outerParts.first(where: { $0.value == name }) { return outer.key }
        // blk.N.PART.weight
        let pieces = name.split(separator: ".", omittingEmptySubsequences: false)
        guard pieces.count == 4, pieces[0] == "blk", let layer = Int(pieces[1]), "\(layer)" == pieces[1],
            ["weight", "bias"].contains(pieces[3]), let part = part(of: String(pieces[2]))
        else { return nil }
        return "model.layers.\(layer).\(part).\(pieces[3])"
    }

    private func part(of name: String) -> String? {
        if let own = parts.first(where: { $0.value == name }) { return own.key }
        return Self.commonParts.first { $0.value == name && parts[$0.key] == nil }?.key
    }

    /// A tensor as Hugging Face's checkpoints hold it.
    /// - Parameter name: ggml's.
    func restored(_ name: String, _ tensor: Tensor, _ shape: DecoderConfiguration) throws -> Tensor {
        if shape.normsFromOne, name.hasSuffix("norm.weight") { return try tensor.to(.float32) + (-1) }
        let part = name.split(separator: ".").dropLast().last ?? ""
        guard turnsNeighbours, part == "attn_q" || part == "attn_k" else { return tensor }
        let heads = part == "attn_q" ? shape.headCount : shape.keyValueHeadCount
        // Another shape is refused where it is asked for.
        guard tensor.shape.first == heads * shape.headDimension else { return tensor }
        return try tensor.reshaped([heads, shape.headDimension / 2, 2, -1]).transposed(1, 2).reshaped(tensor.shape)
    }
}
