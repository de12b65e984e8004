import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// The loss and gradients of one training step with a given adapter, for comparison with other implementations.
package struct GradientProbe {
    private let network: DecoderNetwork
    private let adapters: [(name: String, adapter: LowRankAdapter)]

    /// Puts a PEFT adapter beside the projections, without dropout, and freezes the rest.
    package init(_ network: DecoderNetwork, adapter folder: URL) throws {
        self.network = network
        for parameter in network.parameters { try parameter.tensor.freeze() }
        adapters = try AdapterFile.attach(folder, to: network)
        for (_, adapter) in adapters {
            try adapter.down.requireGradient()
            try adapter.up.requireGradient()
        }
    }

    /// The mean next-token loss over all ids, and the gradients by `name.lora_A` and `name.lora_B`.
    package func step(_ ids: [Int32]) throws -> (loss: Double, gradients: [String: [Float]]) {
        var row = PackedRow()
        row.append(TrainingExample(id: "probe", tokens: ids, trainable: ids.map { _ in true }))
        let loss = try RowLoss.backward(row, network, scale: 1 / Double(row.targets.count))
        var gradients: [String: [Float]] = [:]
        for (name, adapter) in adapters {
            gradients["\(name).lora_A"] = try adapter.down.gradient()?.floats()
            gradients["\(name).lora_B"] = try adapter.up.gradient()?.floats()
        }
        return (loss, gradients)
    }
}
