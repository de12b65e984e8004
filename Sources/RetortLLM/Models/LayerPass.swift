import RetortTensor

/// What a layer takes in one pass besides the residual stream.
struct LayerPass {
    /// The rotation of its queries and keys.
    let angles: RotaryEmbedding.Angles
    /// Its number.
    let layer: Int
    let links: LayerLinks

    /// The layer's part of the second embedding, `[batch, length, width]`; nil if the network has none.
    var embedding: Tensor? { layer < links.embeddings.count ? links.embeddings[layer] : nil }
}

/// What layers of one pass hand to each other besides the residual stream. Empty in most families.
package final class LayerLinks {
    /// For each layer its part of the second embedding, `[batch, length, width]`; empty if there is none.
    package var embeddings: [Tensor] = []
    /// The rotated keys and the values `[batch, key heads, length, dim]` of layers from which later ones read, by
    /// layer.
    package var keys: [Int: (key: Tensor, value: Tensor)] = [:]
}

/// A programming error: a layer reads keys of a layer that has not stored any in this pass.
struct MissingKeys: Error {
    let layer: Int
    let source: Int
}
