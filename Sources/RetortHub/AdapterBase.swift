import Foundation
import RetortCore

/// The base model that an adapter's folder names: in PEFT's `adapter_config.json`, `base_model_name_or_path` is a
/// path or a model's name, and `revision` selects a revision of that model.
enum AdapterBase {
    /// Nil for a place that is not an adapter's folder, or whose configuration names no base.
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

    /// The name with the revision, to look the model up by; nil for a text that is not a name.
    static func model(_ name: String, revision: String?) -> String? {
        guard let model = ModelName(name) else { return nil }
        guard let revision, !revision.isEmpty, model.revision == nil else { return model.description }
        return ModelName("\(model.repository)@\(revision)")?.description
    }
}
