import Foundation
import RetortCore
import Testing

@testable import RetortLLM

/// Tokens that a folder declares beside its `tokenizer.json`; the ids are those of transformers 5.24.
@Suite("Declared tokens")
struct TokenDeclarationTests {
    /// A folder with the seedlings' tokenizer, whose next free id is 3072.
    private func folder(_ settings: String, map: String? = nil, added: String? = nil) throws -> ScratchFolder {
        let folder = try ScratchFolder()
        let usual =
            #""tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>""#
        try FileManager.default.copyItem(
            at: seedlings.appendingPathComponent("tokenizer/tokenizer.json"),
            to: folder.url.appendingPathComponent("tokenizer.json"))
        let files = [
            "tokenizer_config.json": "{\(usual), \(settings)}", "special_tokens_map.json": map,
            "added_tokens.json": added,
        ]
        for (name, text) in files {
            if let text { try Data(text.utf8).write(to: folder.url.appendingPathComponent(name)) }
        }
        return folder
    }

    @Test(
        "get their ids in the order of the files, and those that transformers passes over are text",
        arguments: [
            (
                #""extra_special_tokens": {"vision_token": "<v>", "audio_token": "<a>"}"#, nil, nil,
                "<a><v>", [3073, 3072]
            ),
            (
                #""zeta_token": "<z>", "alpha_token": "<a>""#, nil, nil,
                "<a><z>", [3073, 3072]
            ),
            (
                #""image_token": "<i>", "sep_token": "<s>""#, nil, nil,
                "<i><s>", [3073, 3072]
            ),
            (
                #""additional_special_tokens": ["<p>"], "extra_special_tokens": {"v_token": "<v>"}"#, nil, nil,
                "<p><v>", [3073, 3072]
            ),
            (
                #""additional_special_tokens": ["<p>"], "extra_special_tokens": ["<e>"]"#, nil, nil,
                "<e><p>", [3072, 27, 79, 29]
            ),
            (
                #""additional_special_tokens": ["<p>"], "extra_special_tokens": null"#, nil, nil,
                "<p>", [3072]
            ),
            (
                #""additional_special_tokens": ["<p>", "<r>"]"#, #"{"additional_special_tokens": ["<m>"]}"#, nil,
                "<m><r>", [27, 76, 29, 3073]
            ),
            (
                #""extra_special_tokens": []"#, #"{"additional_special_tokens": ["<m>"]}"#, nil,
                "<m>", [27, 76, 29]
            ),
            (
                #""x_token": "<x>""#, #"{"additional_special_tokens": ["<m>"]}"#, nil,
                "<m><x>", [3073, 3072]
            ),
            (
                #""extra_special_tokens": ["<e>"]"#, #"{"extra_special_tokens": ["<f>", "<e>"]}"#, nil,
                "<f><e>", [3073, 3072]
            ),
            (
                #""x_token": "<x>""#, #"{"extra_special_tokens": {"b_token": "<b>", "a_token": "<a>"}}"#, nil,
                "<a><b><x>", [3074, 3073, 3072]
            ),
            (
                #""model_specific_special_tokens": {"b_token": "<b>", "a_token": "<a>"}"#, nil, nil,
                "<a><b>", [3073, 3072]
            ),
            (
                #""model_specific_special_tokens": {"b_token": "<b>"}, "c_token": "<c>""#, nil, nil,
                "<b><c>", [27, 65, 29, 3072]
            ),
            (
                #""boi_token": {"content": "<b>", "lstrip": false, "special": true}"#, nil, nil,
                "<b>", [27, 65, 29]
            ),
            (
                #""boi_token": {"__type": "AddedToken", "content": "<b>", "lstrip": true, "normalized": false}"#, nil,
                nil,
                "a <b>", [64, 3072]
            ),
            (
                #""x_token": "<x>""#, #"{"boi_token": {"content": "<b>", "rstrip": true}}"#, nil,
                "<x><b> a", [3073, 3072, 64]
            ),
            (
                #""x_token": "<x>", "y_token": "<y>""#, #"{"x_token": "<b>"}"#, nil,
                "<x><b><y>", [3072, 27, 65, 29, 3073]
            ),
            (
                #""a_token": "<a>", "b_token": "<b>", "a_token": "<c>""#, nil, nil,
                "<a><b><c>", [27, 64, 29, 3073, 3072]
            ),
            (
                #""v_token": "<v>""#, nil, #"{"<v>": 3073, "<u>": 3072}"#,
                "<u><v>", [3072, 3073]
            ),
            (
                #""v_token": "<v>""#, #"{"cls_token": "<k>"}"#, #"{"<u>": 3072}"#,
                "<u><v><k>", [3072, 3074, 3073]
            ),
            (
                #""v_token": "<v>", "added_tokens_decoder": {"3072": {"content": "<u>", "special": false}}"#,
                #"{"cls_token": "<k>"}"#, nil,
                "<u><v><k>", [3072, 3073, 27, 74, 29]
            ),
        ] as [(String, String?, String?, String, [Int32])])
    func order(settings: String, map: String?, added: String?, text: String, ids: [Int32]) throws {
        let folder = try folder(settings, map: map, added: added)
        #expect(try Tokenizer(folder.url).encode(text, specials: .recognised) == ids)
    }

    @Test("those with a role are special and known to templates by it; a list's tell themselves whether they are")
    func roles() throws {
        let folder = try folder(
            #""v_token": "<v>", "boi_token": {"content": "<b>"}, "extra_special_tokens": "#
                + #"["<e>", {"__type": "AddedToken", "content": "<f>", "special": false}], "#
                + #""added_tokens_decoder": {"3072": {"content": "<v>", "special": false}}"#)
        let tokenizer = try Tokenizer(folder.url)
        #expect(tokenizer.encode("<v><e><f>", specials: .recognised) == [3072, 3073, 3074])
        #expect(tokenizer.isSpecial(3072) && tokenizer.isSpecial(3073) && !tokenizer.isSpecial(3074))
        let named = try TokenDeclarations(.folder(folder.url)).named
        #expect(named == ["eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "v_token": "<v>"])
    }

    @Test(
        "settings that split texts otherwise are refused by name",
        arguments: [
            (#""split_special_tokens": true"#, "'split_special_tokens'"),
            (#""fix_mistral_regex": true"#, "'fix_mistral_regex'"),
            (#""fast_tokenizer_files": ["tokenizer.json", "tokenizer.4.2.0.json"]"#, "'fast_tokenizer_files'"),
            (#""added_tokens_decoder": []"#, "added_tokens_decoder is no object"),
        ])
    func refused(settings: String, message: String) throws {
        let folder = try folder(settings)
        let error = #expect(throws: CheckpointError.self) { try Tokenizer(folder.url) }
        #expect("\(try #require(error))".contains(message))
    }

    @Test("settings that split nothing pass, and so do keys that no tokenizer knows")
    func harmless() throws {
        let folder = try folder(
            #""split_special_tokens": false, "fix_mistral_regex": null, "fast_tokenizer_files": ["tokenizer.json"], "#
                + #""add_prefix_space": null, "legacy": true, "sp_model_kwargs": {}, "made_by": "someone", "image_size": 3"#
        )
        #expect(try Tokenizer(folder.url).encode("<|im_end|>", specials: .recognised) == [3071])
    }
}
