/// What an adapter's file holds, by its header alone.
extension AdapterWeights {
    /// The ends of the names that PEFT gives to what it adds to a module.
    private static let parts: Set<String> = [
        "lora_A.weight", "lora_B.weight", "lora_B.bias", "lora_embedding_A", "lora_embedding_B",
        "lora_magnitude_vector", "lora_magnitude_vector.weight",
    ]

    /// Refuses tensors that are not named as PEFT names them, such as those of a model's own state, in which the name
    /// of the adapter stands before `weight`, or those of other tools. PEFT would load nothing of them.
    func refuseForeignNames() throws {
        let foreign = file.entries.keys.filter { key in
            guard key.hasPrefix(Self.prefix) else { return true }
            guard let place = key.firstRange(of: ".lora_") else { return false }
            return !Self.parts.contains(String(key[place.lowerBound...].dropFirst()))
        }
        guard let first = foreign.min() else { return }
        throw CheckpointError.unsupported(
            file: file.path,
            "an adapter with names such as '\(first)' (\(foreign.count) of its \(file.entries.count) tensors), where "
                + "PEFT's save_pretrained writes '\(Self.prefix)MODULE.lora_A.weight',")
    }

    /// Looks for everything that changes a tensor of the base, of an adapter that was opened for its headers.
    /// - Returns: whether the tensor is stored whole, so that the base's is not needed.
    func holdsWhole(_ name: String, _ shape: [Int]) throws -> Bool {
        let isWhole = try whole(name, shape) != nil
        if name.hasSuffix(".bias"), configuration.addsBias, let key = key("\(name.dropLast(".bias".count)).lora_B.bias")
        {
            _ = try tensor(key, shape)
        }
        guard name.hasSuffix(".weight"), shape.count == 2 else { return isWhole }
        let module = String(name.dropLast(".weight".count))
        let isEmbedding = module == Self.embedding
        _ = try lowRank(module, outputs: shape[isEmbedding ? 1 : 0], inputs: shape[isEmbedding ? 0 : 1])
        if let rows = try rows(module, width: shape[1]) { try check(rows.places, of: shape[0]) }
        return isWhole
    }
}
