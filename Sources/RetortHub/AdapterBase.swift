import Foundation
import RetortCore

/// The base that an adapter's folder names: `base_model_name_or_path` of PEFT's `adapter_config.json`, a path or a model's name, and
/// `revision`, which of the model.
enum AdapterBase {
    /// Nil for a place that is no adapter's folder, or whose configuration does not say.
    static func name(in place: URL) -> (name: String, revision: String?)? {
        guard let data = try? Data(contentsOf: place.appendingPathComponent("adapter_config.json")),
            let fields = try? ExactJSON.value(of: data), let name = fields["base_model_name_or_path"]?.string,
            !name.isEmpty
        else { return nil }
        return (name, fields["revision"]?.string)
    }

    /// The file or folder, when the name is a path.
    static func path(_ name: String, of adapter: URL) -> URL? {
        [
            URL(fileURLWithPath: name, relativeTo: adapter.appendingPathComponent("")),
            URL(fileURLWithPath: name),
        ].map(\.standardizedFileURL).first { FileManager.default.fileExists(atPath: $0.path) }
    }

    /// What the model is looked for as; nil for what is no name.
    static func model(_ name: String, revision: String?) -> String? {
        guard let model = ModelName(name) else { return nil }
        guard let revision, !revision.isEmpty, model.revision == nil else { return model.description }
        return ModelName("\(model.repository)@\(revision)")?.description
    }
}
