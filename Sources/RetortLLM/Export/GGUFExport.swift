import Foundation
import RetortCore
import RetortTensor

/// Writes a checkpoint as a single GGUF file for llama.cpp and programs built on it.
public enum GGUFExport {
    /// How matrices are stored; norms and biases are always float32.
    public enum Precision: String, CaseIterable, Sendable {
        /// ggml's types; `q8_0` has blocks of 32 signed bytes with a half-precision scale.
        case f32, f16, bf16, q8_0

        fileprivate var storage: GGUFStorage {
            switch self {
            case .f32: .float32
            case .f16: .float16
            case .bf16: .bfloat16
            case .q8_0: .q8_0
            }
        }

        /// The element type; nil for a block format.
        public var dtype: DType? {
            switch self {
            case .f32: .float32
            case .f16: .float16
            case .bf16: .bfloat16
            case .q8_0: nil
            }
        }

        /// llama.cpp's file type for a file whose matrices are mostly stored this way.
        var fileType: UInt32 {
            switch self {
            case .f32: 0
            case .f16: 1
            case .q8_0: 7
            case .bf16: 32
            }
        }
    }

    /// Writes the file, or nothing if llama.cpp could not answer from it as Retort does.
    /// - Parameters:
    ///   - network: the checkpoint's network with adapters merged.
    ///   - name: the model's name in the file.
    /// - Returns: remaining differences in llama.cpp's behaviour, in sentences for the user.
    /// - Throws: `CheckpointError.unsupported` that names the family, setting or tokenizer that GGUF or llama.cpp
    ///   cannot express.
    @discardableResult
    public static func write(
        _ network: DecoderNetwork, of checkpoint: Checkpoint, name: String, precision: Precision, to file: URL
    ) throws -> [String] {
        let shape = network.configuration
        let path = checkpoint.folder.path
        let architecture = try GGUFArchitecture.able(shape, path: path)
        let vocabulary = try GGUFVocabulary(checkpoint, size: shape.vocabularySize)
        var entries = try network.parameters.map { parameter in
            guard let (name, tensor) = try architecture.tensor(parameter.name, parameter.tensor, shape) else {
                throw CheckpointError.unsupported(file: path, "GGUF export of the tensor '\(parameter.name)'")
            }
            return GGUFWriter.Entry(name: name, tensor: tensor, storage: storage(of: tensor, precision))
        }
        entries += try architecture.positionTensors(shape).map {
            GGUFWriter.Entry(name: $0.name, tensor: $0.tensor, storage: .float32)
        }
        let general: GGUFWriter.Metadata = [
            ("general.architecture", .string(architecture.name)),
            ("general.name", .string(vocabulary.model(named: name))),
            ("general.file_type", .unsigned(precision.fileType)), ("general.quantization_version", .unsigned(2)),
        ]
        try GGUFWriter.write(general + architecture.metadata(shape) + vocabulary.metadata, entries, to: file)
        return architecture.remarks(shape) + vocabulary.remarks
    }

    static func storage(of tensor: Tensor, _ precision: Precision) -> GGUFStorage {
        if tensor.rank == 1 { return .float32 }
        // Blocks of 32 lie within a row; rows of other lengths are stored in half precision.
        return precision == .q8_0 && (tensor.shape.last ?? 0) % 32 != 0 ? .float16 : precision.storage
    }
}
