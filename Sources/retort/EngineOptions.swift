import ArgumentParser
import Foundation
import RetortLLM
import RetortTensor

/// How a checkpoint in this process computes.
struct EngineOptions: ParsableArguments {
    @Option(help: "Where a checkpoint's weights live: cpu or cuda.") var device: Device = .cpu

    @Option(
        help: ArgumentHelp(
            """
            How its weights are held: float32, bfloat16, int8 or int4. Unless given, bfloat16 where this CPU multiplies it fast \
            (retort doctor tells), and float32 elsewhere.
            """, valueName: "precision"))
    var weights: WeightPrecision?

    @Option(
        help: ArgumentHelp(
            "The most memory that keys and values take, in GB; a quarter of the machine's unless given.",
            valueName: "gb"))
    var cacheMemory: Double?

    func validate() throws {
        if let cacheMemory, !(cacheMemory > 0 && cacheMemory < 1e6) {
            throw ValidationError("--cache-memory must be a number of gigabytes above 0, not \(cacheMemory)")
        }
        do {
            try weights?.check(device)
        } catch {
            throw ValidationError("--weights: \(error)")
        }
    }

    /// The options with which a model is opened.
    /// - Parameter prefixTokens: how many tokens are kept for prompts with the same beginning.
    func options(maximumSamples: Int = 64, prefixTokens: Int) -> LocalModel.Options {
        LocalModel.Options(
            maximumSamples: maximumSamples, device: device, weights: weights, prefixTokens: prefixTokens,
            cacheBytes: cacheMemory.map { Int($0 * 1e9) } ?? LocalModel.Options.usualCacheBytes)
    }
}

extension WeightPrecision: ExpressibleByArgument {}
