import ArgumentParser
import Foundation
import RetortCore
import RetortRecipes
import RetortTensor

/// A model in this process, or behind an endpoint.
struct ModelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The checkpoint's folder or GGUF file.", valueName: "folder"))
    var model: String?

    @Option(
        help: ArgumentHelp(
            "In place of a folder, an OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.", valueName: "url"))
    var endpoint: String?

    @Option(help: ArgumentHelp("What the endpoint calls the model; its only one unless given.", valueName: "name"))
    var endpointModel: String?

    @Option(help: ArgumentHelp("The environment variable that holds the endpoint's key.", valueName: "variable"))
    var endpointKey: String?

    @OptionGroup var engine: EngineOptions

    func validate() throws {
        guard (model == nil) != (endpoint == nil) else {
            throw ValidationError("Give exactly one of --model FOLDER and --endpoint URL.")
        }
        guard endpoint != nil || (endpointModel == nil && endpointKey == nil) else {
            throw ValidationError("--endpoint-model and --endpoint-key need --endpoint URL.")
        }
    }

    /// Where the model is.
    /// - Parameter adapters: folders of adapters for a checkpoint, by name.
    func place(adapters: [String: URL] = [:]) throws -> ModelLocation {
        if let model {
            return .folder(
                URL(fileURLWithPath: model), adapters: adapters, options: engine.options(prefixTokens: 1 << 15))
        }
        var place = EndpointPlan(url: endpoint ?? "")
        place.model = endpointModel
        place.key = endpointKey
        return .endpoint(place)
    }
}
