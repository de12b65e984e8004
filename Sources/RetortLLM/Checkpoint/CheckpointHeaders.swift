import RetortTensor

/// Tensors of the right shapes in place of a checkpoint's weights, each of which is looked for in the headers of its
/// files. They take no memory: all elements are views of a single zero.
private struct CheckpointHeaders: WeightSource {
    let base: CheckpointWeights
    let adapter: AdapterWeights?

    func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        if try adapter?.holdsWhole(name, shape) != true { try base.check(name, shape) }
        return try Tensor.shared(shape)
    }
}

extension Checkpoint {
    /// Checks that all weights are there with the shapes that the configuration calls for, and no others, and the same
    /// of an adapter. Only the headers of the files are read.
    /// - Throws: what `network` would throw for files that are missing, damaged, or do not fit.
    public func checkWeights() throws {
        var shape = configuration
        let stored = try CheckpointWeights(
            folders.base, dtype: .float32, device: .cpu, ties: shape.tiesWordEmbeddings)
        let adapter = try folders.adapterConfiguration.flatMap { configuration in
            try adapterFolder.map { try AdapterWeights($0, configuration, readsHeadersOnly: true) }
        }
        if shape.tiesWordEmbeddings, stored.holdsTwoVocabularies {
            // Whether they are the same, which only their data tells, matters to an adapter alone.
            shape.tiesWordEmbeddings = try adapter != nil && !stored.holdsOwnHead()
        }
        try adapter?.check(base: folders.base)
        let network = try DecoderNetwork(
            adapter?.adapted(shape) ?? shape, weights: CheckpointHeaders(base: stored, adapter: adapter))
        let names = network.parameters.map(\.name)
        try stored.refuseStrays(besides: names, and: shape.unusedTensors)
        try adapter?.check(modules: network.projections.map(\.name), parameters: names)
    }

    /// The first tensor of the files that contains a NaN or an infinity, an adapter's before its base's; nil when none
    /// does. All weights are read.
    public func notFinite() throws -> CheckpointError? {
        if let adapterFolder, let configuration = folders.adapterConfiguration {
            let file = try AdapterWeights(adapterFolder, configuration).file
            if let name = try file.entries.keys.sorted().first(where: { try !file.tensor($0).isFinite }) {
                return .notFinite(file: file.path, name: name)
            }
        }
        return try CheckpointWeights(folders.base, dtype: .float32, device: .cpu).notFinite()
    }
}

extension Tensor {
    /// Whether it contains neither NaN nor infinity.
    fileprivate var isFinite: Bool {
        get throws { try to(.float32, device: .cpu).floats().allSatisfy(\.isFinite) }
    }
}

extension CheckpointWeights {
    /// The first tensor, by name, that contains a NaN or an infinity; nil when none does.
    fileprivate func notFinite() throws -> CheckpointError? {
        for name in names.sorted() {
            guard let file = file(of: name), try !file.tensor(name).isFinite else { continue }
            return .notFinite(file: file.path, name: file.ownName(of: name))
        }
        return nil
    }
}
