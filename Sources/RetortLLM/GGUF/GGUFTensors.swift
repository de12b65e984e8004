import RetortTensor

/// Translates ggml's tensor names and element order back: the inverse of `GGUFArchitecture.tensor`.
extension GGUFArchitecture {
    /// A tensor's name in Hugging Face's checkpoints; nil for one that does not belong to the network.
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

    /// A tensor in the order of Hugging Face's checkpoints.
    /// - Parameter name: ggml's name.
    func restored(_ name: String, _ tensor: Tensor, _ shape: DecoderConfiguration) throws -> Tensor {
        if shape.normsFromOne, name.hasSuffix("norm.weight") { return try tensor.to(.float32) + (-1) }
        let part = name.split(separator: ".").dropLast().last ?? ""
        guard turnsNeighbours, part == "attn_q" || part == "attn_k" else { return tensor }
        let heads = part == "attn_q" ? shape.headCount : shape.keyValueHeadCount
        // Another shape is refused where the tensor is requested.
        guard tensor.shape.first == heads * shape.headDimension else { return tensor }
        return try tensor.reshaped([heads, shape.headDimension / 2, 2, -1]).transposed(1, 2).reshaped(tensor.shape)
    }
}
