"""Sentences about preprocessors, their files and poses."""

SENTENCES: dict[str, tuple[str, str]] = {
    "unknown_detector": (
        "没有名为“{name}”的预处理器。相近的有：{closest}。",
        "There is no preprocessor called “{name}”. Close: {closest}.",
    ),
    "detector_left_out": (
        "这里没有预处理器“{name}”。可以改用：{instead}；已有现成的图时选 none。",
        "The preprocessor “{name}” is not part of Maple. These may do instead: {instead}; with a map already made, choose none.",
    ),
    "unknown_control_type": (
        "没有名为“{name}”的控制类型。相近的有：{closest}。",
        "There is no control type called “{name}”. Close: {closest}.",
    ),
    "annotator_missing": (
        "预处理器“{detector}”缺少文件 {files}。请放到 {folder}（也会查找：{searched}），或在 ControlNet 页点“下载”。地址：{sources}",
        "The preprocessor “{detector}” lacks {files}. Put it into {folder} (also looked in: {searched}), or press Download in the ControlNet tab. Address: {sources}",
    ),
    "annotator_misfit": (
        "{path} 不是“{detector}”要用的文件：{reason}。请重新下载。",
        "{path} is not the file “{detector}” needs: {reason}. Download it again.",
    ),
    "extra_missing": (
        "预处理器“{detector}”需要 {package}，还没有安装。请在 Maple 的文件夹里运行：{command}",
        "The preprocessor “{detector}” needs {package}, which is not installed. In Maple's folder run: {command}",
    ),
    "picture_too_large": (
        "图片为 {width}×{height}，预处理器最多接受 {most} 像素边长、{pixels} 百万像素。请先缩小。",
        "The picture is {width}×{height}; preprocessors take at most {most} pixels a side and {pixels} megapixels. Make it smaller first.",
    ),
    "picture_too_narrow": (
        "图片为 {width}×{height}，短边缩放到 {resolution} 像素时长边会有 {longer} 像素（最多 {most}）。请裁剪图片，或减小分辨率。",
        "The picture is {width}×{height}; with {resolution} pixels on the shorter side the longer would have {longer} (at most {most}). Crop it, or lower the resolution.",
    ),
    "bad_pose": ("姿势 JSON 有误：{where}：{reason}。", "The pose JSON is wrong at {where}: {reason}."),
    "no_people": (
        "没有在图片里找到人物，得到的图是全黑的。请换一张人物更清楚的图片。",
        "No person was found in the picture, so the map is black. Try one that shows the figure more clearly.",
    ),
    "mask_needed": (
        "预处理器“{detector}”需要蒙版。请在图片上涂出要重绘的地方。",
        "The preprocessor “{detector}” needs a mask. Paint over what is to be redrawn.",
    ),
    "mask_misfit": (
        "蒙版为 {mask}，图片为 {picture}，已把蒙版缩放到图片的尺寸。",
        "The mask is {mask} and the picture {picture}; the mask was stretched to the picture.",
    ),
    "white_background": (
        "这像是白底黑线的图，ControlNet 需要黑底白线。请选预处理器 invert 或 lineart_standard。",
        "This looks like dark lines on white, but ControlNet wants white lines on black. Choose the preprocessor invert or lineart_standard.",
    ),
    "phase_detecting": ("生成控制图", "Making the map"),
    "phase_fetching": ("下载中", "Downloading"),
    "fetch_unknown": (
        "{name} 不在可下载的文件之列。可下载的有：{known}。",
        "{name} is not among the files that can be downloaded. Those that can: {known}.",
    ),
    "fetch_failed": (
        "没能下载 {name}：{reason}。请检查网络后重试，或自行下载后放到 {folder}。地址：{sources}",
        "{name} could not be downloaded: {reason}. Check the network and try again, or fetch it yourself and put it into {folder}. Address: {sources}",
    ),
    "fetch_damaged": (
        "下载的 {name} 不完整或已损坏（{reason}），没有保留。请重试。",
        "The downloaded {name} is incomplete or damaged ({reason}) and was not kept. Try again.",
    ),
    "fetched": ("已下载：{path}。", "Downloaded: {path}."),
}
