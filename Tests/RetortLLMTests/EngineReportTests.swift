import RetortLLM
import RetortTensor
import Testing

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
}
