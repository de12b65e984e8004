import Foundation
import RetortCore
import RetortTensor

/// Writes a LoRA adapter as a separate GGUF file for llama.cpp's `--lora`, which can load several over one base, such
/// as α-UMi's roles (the format is that of llama.cpp's `convert_lora_to_gguf.py`).
package enum GGUFAdapterExport {
    /// Writes the file, or nothing if llama.cpp cannot compute what the adapter does.
    /// - Parameters:
    ///   - checkpoint: an opened adapter folder. llama.cpp needs the same base, exported or as published.
    ///   - name: the adapter's name in the file.
    ///   - precision: the precision of the factors.
    /// - Throws: `CheckpointError` that names what llama.cpp does not support: DoRA, and adapters of anything but
    ///   projections.
    package static func write(
        _ checkpoint: Checkpoint, name: String, precision: GGUFExport.Precision, to file: URL
    ) throws {
        guard let folder = checkpoint.adapterFolder else {
            throw CheckpointError.unsupported(
                file: checkpoint.folder.path, "export as an adapter of what is no adapter's folder")
        }
        let network = try Checkpoint(folder: checkpoint.folder).network()
        let shape = network.configuration
        let architecture = try GGUFArchitecture.able(shape, path: folder.path)
        try AdapterFile.attach(folder, to: network, servedAs: 0, over: checkpoint.folders.base)
        let entries = try network.projections.flatMap { name, linear in
            try factors(of: name, linear, architecture, shape, precision, path: folder.path)
        }
        let general: GGUFWriter.Metadata = [
            ("general.architecture", .string(architecture.name)), ("general.type", .string("adapter")),
            ("general.name", .string(name)), ("general.file_type", .unsigned(precision.fileType)),
            ("adapter.type", .string("lora")),
            // llama.cpp multiplies by alpha / rank, and by nothing if alpha is 0; the scale is contained in the
            // factors.
            ("adapter.lora.alpha", .float(0)),
        ]
        try GGUFWriter.write(general, entries, to: file)
    }

    /// A projection's two factors, `[rank, in]` and `[out, rank]`, with rows in the same order as in the projection's
    /// own weight in the file.
    private static func factors(
        of name: String, _ linear: Linear, _ architecture: GGUFArchitecture, _ shape: DecoderConfiguration,
        _ precision: GGUFExport.Precision, path: String
    ) throws -> [GGUFWriter.Entry] {
        guard let adapter = linear.served[0] else { return [] }
        guard adapter.gain == nil else {
            throw CheckpointError.unsupported(file: path, "GGUF export of an adapter with DoRA; export it merged")
        }
        let up = try adapter.up * adapter.scale
        guard let (weight, placed) = try architecture.tensor("\(name).weight", up, shape) else {
            throw CheckpointError.unsupported(file: path, "GGUF export of the adapter of '\(name)'")
        }
        return [("lora_a", adapter.down), ("lora_b", placed)].map { part, tensor in
            GGUFWriter.Entry(
                name: "\(weight).\(part)", tensor: tensor, storage: GGUFExport.storage(of: tensor, precision))
        }
    }
}
