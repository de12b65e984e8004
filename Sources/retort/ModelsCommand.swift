import ArgumentParser
import Foundation
import RetortCore
import RetortHub
import RetortLLM

/// `retort models`
struct ModelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List the models on this machine that have a name, and whether they fit.",
        discussion: """
            These are the complete models in huggingface_hub's cache, and small ones that Python packages contain. \
            Recipes and commands take a name wherever they take a model's folder. Weights, and the cache of one agent \
            of 4,096 tokens, are counted as this machine would hold them; a model fits if a quarter of the memory is \
            left for the rest.

              retort models
              retort fetch smollm2-135m
            """)

    @Flag(help: "Print JSON.") var json = false

    /// A model in the list.
    private struct Line: Encodable {
        var name: String
        var path: String
        var family: String?
        /// The size of the weights in memory, in bytes.
        var bytes: Int?
        var precision: String?
        var context: Int?
        var fits: Bool?
        /// Why the model cannot be used; nil if it can.
        var problem: String?
    }

    func run() throws {
        let locator = ModelLocator()
        let lines = locator.models().map { Self.line($0.name, $0.place) }
        if json {
            print(String(decoding: try JSONCoding.prettyEncoder.encode(lines), as: UTF8.self))
            return
        }
        for line in lines { print(Self.text(line)) }
        let absent = PackagedModel.known.filter { known in !lines.contains { $0.name == known.name } }
        if lines.isEmpty {
            print("No model is here yet (looked in \(locator.settings.cache.path) and \(locator.store.path)).")
        }
        for model in absent { print("retort fetch \(model.name)    \(model.about)") }
    }

    private static func line(_ name: String, _ place: URL) -> Line {
        var line = Line(name: name, path: place.path)
        do {
            if TextEncoder.holdsEncoder(place) {
                line.family = "encoder"
                line.context = try TextEncoder.configuration(place).longest
                return line
            }
            let checkpoint = try Checkpoint(folder: place)
            line.family = checkpoint.configuration.architecture
            line.context = checkpoint.configuration.maximumPositions
            let usual = try PrecisionReport(checkpoint).lines.first(where: \.isUsual)
            line.bytes = usual?.bytes
            line.precision = usual?.weights.rawValue
            line.fits = usual.map { usual in
                let context = min(checkpoint.configuration.maximumPositions, 4096)
                return usual.bytes + usual.cacheBytes * context <= Int(ProcessInfo.processInfo.physicalMemory / 4 * 3)
            }
        } catch {
            line.problem = "\(error)"
        }
        return line
    }

    private static func text(_ line: Line) -> String {
        if let problem = line.problem { return "\(line.name)\n    cannot be used: \(problem)" }
        let size = line.bytes.map { String(format: "%.0f MB", Double($0) / 1e6) }
        let context = line.context.map { "\($0) tokens" }
        let fits = line.fits.map { $0 ? "fits" : "does not fit into memory" }
        return ([line.name] + [line.family, size, line.precision, context, fits].compactMap(\.self)).joined(
            separator: "  ")
            + "\n    \(line.path)"
    }
}
