import RetortTensor
import Testing

@testable import RetortLLM

@Suite("Engine report")
struct EngineReportTests {
    @Test("a part that cannot be had says why, and what is done instead")
    func parts() {
        let report = EngineReport.inspect()
        #expect(report.libtorch.first?.isNumber == true && report.threads > 0)
        #expect(report.parts.map(\.name) == ["CUDA", "fused attention over packed rows", "recorded decoding steps"])
        for part in report.parts {
            #expect(part.holds == part.detail.isEmpty)
            if !Device.isCUDAAvailable { #expect(!part.holds && part.detail.contains("libtorch_cuda")) }
        }
    }

    @Test("a device that is not there is an error that says why", .enabled(if: !Device.isCUDAAvailable))
    func absent() {
        let error = #expect(throws: TensorError.self) { try Tensor.zeros([1], device: .cuda) }
        #expect("\(error as Any)".contains("CUDA cannot be used: "))
    }

    @Test(
        "what each precision would take is what it takes, head and embedding held once or twice",
        arguments: [true, false])
    func memory(ties: Bool) throws {
        let shape = DecoderConfiguration.qwen2(
            vocabularySize: 160, hiddenSize: 64, intermediateSize: 96, layerCount: 2, headCount: 4,
            keyValueHeadCount: 2,
            maximumPositions: 128, tiesWordEmbeddings: ties)
        for line in try PrecisionReport(shape).lines {
            let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 1, dtype: line.weights.dtype))
            if let bits = line.weights.packing { try network.pack(bits) }
            #expect(network.weightBytes == line.bytes, "\(line.weights)")
            // Two layers of keys and values of two heads of 16.
            #expect(line.cacheBytes == 2 * 2 * 2 * 16 * (line.weights == .float32 ? 4 : 2))
            #expect(line.isUsual == (line.weights == .usual(on: .cpu)) && !line.kernels.isEmpty)
        }
    }
}
